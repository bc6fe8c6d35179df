"""Small silent recordings of every audio type, valid enough for the parsers of players."""

from __future__ import annotations

import struct

_FRAME_S = 1152 / 44100


def mp3(seconds: float = 1.0, *, salt: bytes = b"") -> bytes:
    """MPEG 1 Layer III, 128 kbit/s, 44.1 kHz mono; `salt` (up to 400 bytes) makes it another recording of the same length."""
    return b"".join(_mp3_frame(salt if number == 0 else b"") for number in range(max(2, round(seconds / _FRAME_S))))


def mp3_of(size_bytes: int, *, salt: bytes = b"") -> bytes:
    """An MP3 of about that size: whole frames, never more."""
    frame = _mp3_frame(b"")
    return _mp3_frame(salt) + frame * (size_bytes // len(frame) - 1)


def _mp3_frame(salt: bytes) -> bytes:
    # 144 * 128000 / 44100 = 417 bytes without padding.
    return (b"\xff\xfb\x90\xc4" + bytes(32) + salt).ljust(417, b"\0")[:417]


def id3(body: bytes, tag_bytes: int = 200) -> bytes:
    """`body` behind an ID3v2.4 tag."""
    size = bytes(tag_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + size + bytes(tag_bytes) + body


def wav(seconds: float = 1.0, *, codec: int = 1) -> bytes:
    """8 kHz mono, 8 bits: PCM (1) or telephony's mu-law (7), the latter without a `fact` chunk as many recorders write it."""
    data = b"\x80" * round(8000 * seconds)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, codec, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def ogg(seconds: float = 1.0) -> bytes:
    """Opus in Ogg: head, tags and one page whose granule position says the length."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    pages = [(2, 0, head), (0, 0, tags), (0, round(seconds * 48000), bytes(100)), (4, round(seconds * 48000), bytes(100))]
    return b"".join(
        struct.pack("<4sBBqIIIB", b"OggS", 0, kind, granule, 7, number, 0, 1) + bytes([len(packet)]) + packet
        for number, (kind, granule, packet) in enumerate(pages)
    )


def m4a(seconds: float = 1.0, brand: bytes = b"M4A ") -> bytes:
    """A movie header without a movie."""
    mvhd = struct.pack(">IIIII", 0, 0, 0, 1000, round(seconds * 1000)).ljust(100, b"\0")
    return _box(b"ftyp", brand + bytes(4) + b"isom" + brand) + _box(b"moov", _box(b"mvhd", mvhd)) + _box(b"mdat", bytes(64))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def flac(seconds: float = 1.0) -> bytes:
    """Stream information alone."""
    samples = round(44100 * seconds)
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + struct.pack(">Q", 44100 << 44 | 15 << 36 | samples) + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info + bytes(64)


def webm(doctype: bytes = b"webm") -> bytes:
    """An EBML head and an empty segment."""
    elements = (
        b"\x42\x86\x81\x01" + b"\x42\xf7\x81\x01" + b"\x42\x82" + bytes([0x80 | len(doctype)]) + doctype + b"\x42\x87\x81\x04"
    )
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(elements)]) + elements + b"\x18\x53\x80\x67\x80"
