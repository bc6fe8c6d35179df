"""The same service as people build it with FastAPI, PyMongo's async client, aioboto3 and WebSockets, after their documentation.

Same promises where they can be had: calls durable (w: majority, journaled), recordings uploaded or flushed before the answer,
one call per externalCallId.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from bson import ObjectId
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pymongo import AsyncMongoClient, ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError

RECORDINGS = Path(os.environ["DATA_DIR"]) / "recordings"
BUCKET = os.environ.get("R2_BUCKET")
CONNECTIONS = 128
PhoneNumber = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]


class Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["agent", "user"]
    message: str
    timestamp: float | None = None


class Call(BaseModel):
    direction: Literal["inbound", "outbound"]
    fromNumber: PhoneNumber
    toNumber: PhoneNumber
    duration: Annotated[float, Field(ge=0)]
    status: Literal["completed", "no-answer", "busy", "failed"]
    transcript: list[Turn] | None = None
    summary: str | None = None
    recording: str | None = None
    externalCallId: str | None = None
    agentName: str | None = None
    callerName: str | None = None
    metadata: dict[str, Any] | None = None
    callStartTime: datetime | None = None

    @model_validator(mode="after")
    def completed_has_all(self) -> Call:
        if self.status == "completed":
            for name in ("transcript", "summary", "recording"):
                if getattr(self, name) is None:
                    raise ValueError(f"Missing required field: {name}")
        return self


class ConnectionManager:
    def __init__(self) -> None:
        self.active_connections: defaultdict[str, list[WebSocket]] = defaultdict(list)

    async def connect(self, organization_id: str, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections[organization_id].append(websocket)

    def disconnect(self, organization_id: str, websocket: WebSocket) -> None:
        self.active_connections[organization_id].remove(websocket)

    async def broadcast(self, organization_id: str, event: str, data: dict[str, Any]) -> None:
        text = json.dumps({"event": event, "data": data}, default=str)
        for connection in self.active_connections[organization_id]:
            await connection.send_text(text)


manager = ConnectionManager()


@asynccontextmanager
async def lifespan(app: FastAPI):
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    client = AsyncMongoClient(os.environ["MONGODB_URI"], tz_aware=True)
    app.state.db = db = client.get_database(os.environ["DATABASE"], write_concern=WriteConcern("majority", j=True))
    await db.contacts.create_index([("organizationId", 1), ("number", 1)], unique=True)
    await db.contacts.create_index([("organizationId", 1), ("lastCallAt", -1)])
    await db.conversations.create_index([("contactId", 1), ("type", 1)], unique=True)
    await db.messages.create_index([("conversationId", 1), ("createdAt", -1)])
    await db.calls.create_index(
        [("userId", 1), ("providerCallId", 1)], unique=True, partialFilterExpression={"providerCallId": {"$exists": True}}
    )
    await db.calls.create_index([("organizationId", 1), ("startTime", -1)])
    await db.calls.create_index([("organizationId", 1), ("contactId", 1), ("startTime", -1)])
    await db.calls.create_index([("organizationId", 1), ("status", 1), ("startTime", -1)])
    async with AsyncExitStack() as stack:
        app.state.http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS), raise_for_status=True)
        )
        if BUCKET:
            app.state.s3 = await stack.enter_async_context(
                aioboto3.Session().client(
                    "s3",
                    endpoint_url=os.environ["R2_ENDPOINT_URL"],
                    aws_access_key_id=os.environ["R2_ACCESS_KEY_ID"],
                    aws_secret_access_key=os.environ["R2_SECRET_ACCESS_KEY"],
                    region_name="auto",
                    # As Cloudflare's documentation of R2 has it, and not with the ten connections that are the default.
                    config=AioConfig(request_checksum_calculation="when_required", max_pool_connections=CONNECTIONS),
                )
            )
        yield
    await client.close()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def current_user(request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict:
    digest = hashlib.sha256(credentials.credentials.encode()).hexdigest()
    user = await request.app.state.db.users.find_one({"apiKeyDigest": digest})
    if user is None:
        raise HTTPException(401, "Missing or invalid API key")
    return user


async def content_of(recording: str, request: Request) -> bytes:
    if not recording.startswith(("http://", "https://")):
        return base64.b64decode(recording)
    async with request.app.state.http.get(recording) as response:
        return await response.read()


def keep(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@app.post("/api/calls/ingest", status_code=201)
async def ingest(call: Call, request: Request, user: Annotated[dict, Depends(current_user)]):
    db = request.app.state.db
    organization_id = user["organizationId"]
    number = call.fromNumber if call.direction == "inbound" else call.toNumber
    now = datetime.now(UTC)
    contact = await db.contacts.find_one_and_update(
        {"organizationId": organization_id, "number": number},
        {
            "$set": {"lastCallAt": now, "updatedAt": now},
            "$setOnInsert": {"name": call.callerName or "Unknown Caller", "createdAt": now},
        },
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    conversation = await db.conversations.find_one_and_update(
        {"contactId": contact["_id"], "type": "call"},
        {
            "$set": {"lastMessageAt": now, "updatedAt": now},
            "$setOnInsert": {"organizationId": organization_id, "createdAt": now},
        },
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )

    call_id = ObjectId()
    recordings = []
    if call.recording:
        content = await content_of(call.recording, request)
        name = f"{call_id}.mp3"
        if BUCKET:
            await request.app.state.s3.put_object(Bucket=BUCKET, Key=name, Body=content, ContentType="audio/mpeg")
        else:
            await asyncio.to_thread(keep, RECORDINGS / name, content)
        recordings.append({"recordingId": str(call_id), "file": name, "bytes": len(content)})
    start = call.callStartTime or now
    end = start + timedelta(seconds=call.duration)
    document = {
        "_id": call_id,
        "organizationId": organization_id,
        "userId": user["_id"],
        "contactId": contact["_id"],
        "conversationId": conversation["_id"],
        "direction": call.direction,
        "status": call.status,
        "from": call.fromNumber,
        "to": call.toNumber,
        "duration": call.duration,
        "startTime": start,
        "endTime": end,
        "summary": call.summary,
        "agentName": call.agentName,
        "transcription": [turn.model_dump() for turn in call.transcript or []],
        "recordings": recordings,
        "metadata": call.metadata,
        "createdAt": now,
        "updatedAt": now,
    }
    if call.externalCallId is not None:
        document["providerCallId"] = call.externalCallId
    try:
        await db.calls.insert_one(document)
    except DuplicateKeyError:
        stored = await db.calls.find_one({"userId": user["_id"], "providerCallId": call.externalCallId})
        return JSONResponse({"success": True, "deduplicated": True, "callId": str(stored["_id"])})
    await db.messages.insert_one(
        {
            "organizationId": organization_id,
            "conversationId": conversation["_id"],
            "callId": call_id,
            "type": "call",
            "content": call.summary or "",
            "createdAt": now,
        }
    )

    where = {"callId": str(call_id), "contactId": str(contact["_id"]), "conversationId": str(conversation["_id"])}
    await manager.broadcast(
        organization_id,
        "call_initiated",
        {
            **where,
            "contactName": contact["name"],
            "direction": call.direction,
            "from": call.fromNumber,
            "to": call.toNumber,
            "agentName": call.agentName,
            "provider": "external",
            "startTime": start,
        },
    )
    await manager.broadcast(
        organization_id,
        "call_ended",
        {**where, "status": call.status, "duration": call.duration, "endTime": end, "summary": call.summary},
    )
    if recordings:
        await manager.broadcast(
            organization_id,
            "call_recording_ready",
            {**where, "recordingId": recordings[0]["recordingId"], "contentType": "audio/mpeg"},
        )
    await manager.broadcast(organization_id, "fetch_messages", where)
    return {"success": True, **where}


@app.websocket("/ws")
async def dashboard(websocket: WebSocket, token: str):
    session = await websocket.app.state.db.sessions.find_one({"_id": token})
    if session is None:
        await websocket.close(1008)
        return
    organization_id = session["organizationId"]
    await manager.connect(organization_id, websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.disconnect(organization_id, websocket)
