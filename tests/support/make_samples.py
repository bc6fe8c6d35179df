#!/usr/bin/env python3
"""Makes the sample calls of `tether_rt/demo/samples`: JSON payloads with spoken MP3 recordings.

Needs espeak-ng, sox and lame (Debian packages of those names). Each turn is spoken by its speaker's
voice; a turn's `timestamp` is the second at which it starts in the recording.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import tempfile
from typing import Any

VOICES = {"agent": ("en-us+f3", "165"), "user": ("en-gb+m3", "155")}
GAP_S = 0.45

CALLS: dict[str, dict[str, Any]] = {
    "appointment": {
        "direction": "outbound",
        "fromNumber": "+14165550100",
        "toNumber": "+14165550199",
        "status": "completed",
        "agentName": "Alex (Maple Dental)",
        "callerName": "Priya Nair",
        "callStartTime": "2026-05-15T09:10:00.000Z",
        "externalCallId": "sample-appointment",
        "summary": "Priya moved her cleaning from Thursday to Friday at 2 pm and asked for a text reminder.",
        "metadata": {"campaign": "recall-2026-05", "sentiment": "positive", "cost": {"currency": "CAD", "amount": 0.42}},
        "turns": [
            ("agent", "Hi, this is Alex calling from Maple Dental. Am I speaking with Priya?"),
            ("user", "Yes, this is Priya."),
            ("agent", "Your cleaning is booked for Thursday at ten. Does that still work for you?"),
            ("user", "Actually no, I am travelling on Thursday. Do you have anything on Friday?"),
            ("agent", "Friday at two in the afternoon is open. Shall I move you there?"),
            ("user", "Friday at two is perfect. Could you text me a reminder?"),
            ("agent", "Done. You will get a text the day before. See you on Friday!"),
        ],
    },
    "outage": {
        "direction": "inbound",
        "fromNumber": "+442079460958",
        "toNumber": "+12362320246",
        "status": "completed",
        "agentName": "Northlight Support",
        "callerName": "Tom Becker",
        "callStartTime": "2026-05-15T14:32:10.500Z",
        "externalCallId": "sample-outage",
        "summary": "Internet outage in the whole building since noon; ticket opened, technician promised before 6 pm.",
        "metadata": {"ticket": "NL-20417", "priority": "high", "tags": ["outage", "building"]},
        "turns": [
            ("agent", "Northlight support, how can I help?"),
            ("user", "Hello. The internet has been down in our whole building since noon."),
            ("agent", "I am sorry about that. I can see an outage on your street. Are the modem lights red?"),
            ("user", "All of them, yes. And nobody told us anything."),
            ("agent", "I have opened ticket two zero four one seven. A technician will be there before six."),
            ("user", "Before six today? Good. Thank you."),
        ],
    },
    "delivery": {
        "direction": "outbound",
        "fromNumber": "+14165550100",
        "toNumber": "+33612345678",
        "status": "completed",
        "agentName": "Parcel Pilot",
        "callStartTime": "2026-05-16T08:01:00.000Z",
        "externalCallId": "sample-delivery",
        "summary": "Customer will pick the parcel up at the corner shop instead of waiting at home.",
        "metadata": {"parcel": "PP-7781", "attempt": 2},
        "turns": [
            ("agent", "Good morning, your parcel could not be delivered yesterday. Will you be home today?"),
            ("user", "Not before the evening, I am afraid."),
            ("agent", "I can leave it at the corner shop on your street. It closes at nine."),
            ("user", "That is much better. Please do."),
        ],
    },
}
UNANSWERED: dict[str, dict[str, Any]] = {
    "no-answer": {
        "direction": "outbound",
        "fromNumber": "+14165550100",
        "toNumber": "+14165550142",
        "duration": 0,
        "status": "no-answer",
        "agentName": "Alex (Maple Dental)",
        "externalCallId": "sample-no-answer",
    },
    "busy": {
        "direction": "outbound",
        "fromNumber": "+14165550100",
        "toNumber": "+33612345678",
        "duration": 0,
        "status": "busy",
        "agentName": "Parcel Pilot",
        "externalCallId": "sample-busy",
    },
    "failed": {
        "direction": "inbound",
        "fromNumber": "+442079460958",
        "toNumber": "+12362320246",
        "duration": 3.5,
        "status": "failed",
        "externalCallId": "sample-failed",
        "metadata": {"sipCode": 503},
    },
}


def seconds(path: pathlib.Path) -> float:
    return float(subprocess.check_output(["soxi", "-D", str(path)]))


def speak(name: str, call: dict[str, Any], folder: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as tmp:
        work = pathlib.Path(tmp)
        gap = work / "gap.wav"
        subprocess.run(["sox", "-n", "-r", "22050", "-c", "1", str(gap), "trim", "0", str(GAP_S)], check=True)
        parts: list[str] = []
        transcript: list[dict[str, Any]] = []
        at = 0.0
        for i, (role, message) in enumerate(call.pop("turns")):
            voice, speed = VOICES[role]
            wav = work / f"{i}.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-s", speed, "-w", str(wav), message], check=True)
            transcript.append({"role": role, "message": message, "timestamp": round(at, 2)})
            parts += [str(wav), str(gap)]
            at += seconds(wav) + GAP_S
        whole = work / "whole.wav"
        subprocess.run(["sox", *parts, str(whole)], check=True)
        mp3 = folder / f"{name}.mp3"
        subprocess.run(["lame", "--quiet", "-m", "m", "-b", "32", "--resample", "22.05", str(whole), str(mp3)], check=True)
        payload = {**call, "duration": round(seconds(whole), 1), "transcript": transcript}
    (folder / f"{name}.json").write_text(json.dumps(payload, indent=2) + "\n")


def main() -> None:
    folder = pathlib.Path(__file__).parents[2] / "tether_rt" / "demo" / "samples"
    for name, call in CALLS.items():
        speak(name, dict(call), folder)
    for name, call in UNANSWERED.items():
        (folder / f"{name}.json").write_text(json.dumps(call, indent=2) + "\n")


if __name__ == "__main__":
    main()
