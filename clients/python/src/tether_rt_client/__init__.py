"""Send completed calls to a Tether server, and follow its events, each exactly once.

async with Client("https://calls.example.com", api_key="tk_live_…", token="tr_live_…") as client:
    sent = await client.send(call, recording=Path("call.mp3"))
    async for item in client.follow(after=position):
        ...
"""

from .client import INGEST_PATH, Client, send
from .errors import ClientError, Fault, GaveUp, MissingExternalCallId, Refused, Unauthorized
from .feed import Feed
from .items import Event, EventData, Resync
from .retries import Retries
from .sending import CallWarning, Recording, Sent, Verdict

__all__ = [
    "INGEST_PATH",
    "CallWarning",
    "Client",
    "ClientError",
    "Event",
    "EventData",
    "Fault",
    "Feed",
    "GaveUp",
    "MissingExternalCallId",
    "Recording",
    "Refused",
    "Resync",
    "Retries",
    "Sent",
    "Unauthorized",
    "Verdict",
    "send",
]

__version__ = "0.1.0"
