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


def mp3_of_two_rates() -> bytes:
    """8 s at 8 kbit/s, then 4 s at 64 kbit/s: MPEG 2.5 Layer III, 8 kHz mono, with no header for the whole."""
    return _low_frame(0x18, 72) * 111 + _low_frame(0x88, 576) * 56


def long_mp3(seconds: float) -> bytes:
    """MPEG 2.5 Layer III, 8 kbit/s, 8 kHz mono: a kilobyte for each second, for calls of hours."""
    return _low_frame(0x18, 72) * round(seconds / 0.072)


def _low_frame(third: int, size_bytes: int) -> bytes:
    return bytes([0xFF, 0xE3, third, 0xC0]).ljust(size_bytes, b"\0")


def wav(
    seconds: float = 1.0,
    *,
    codec: int = 1,
    bytes_s: int = 8000,
    said_bytes: int | None = None,
    extra: bytes = b"",
    block: int = 1,
) -> bytes:
    """8 kHz mono, 8 bits: PCM (1) or telephony's mu-law (7), the latter without a `fact` chunk as many recorders write it.

    `bytes_s`, `extra` and `block` are what its format says, and `said_bytes` is what it says for the length of its sound.
    """
    data = b"\x80" * round((bytes_s or 8000) * seconds)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16 + len(extra), codec, 1, 8000, bytes_s, block, 8) + extra
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", len(data) if said_bytes is None else said_bytes) + data
    return struct.pack("<4sI", b"RIFF", len(body) if said_bytes is None else said_bytes) + body


def gsm_in_wav(seconds: float = 1.0) -> bytes:
    """As a telephone system records: GSM 6.10 in blocks of 65 bytes for 320 samples."""
    return wav(seconds, codec=0x31, bytes_s=1625, block=65, extra=struct.pack("<HH", 2, 320))


def wave64(seconds: float = 1.0) -> bytes:
    """The same sound as `wav` in Sony's Wave64, which has ids of 16 bytes and lengths of 8."""
    tail = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
    data = b"\x80" * round(8000 * seconds)
    fmt = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    chunks = b"".join(
        name + tail + struct.pack("<Q", 24 + len(body)) + body for name, body in ((b"fmt ", fmt), (b"data", data))
    )
    riff = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
    return riff + struct.pack("<Q", 40 + len(chunks)) + b"wave" + tail + chunks


def au(seconds: float = 1.0) -> bytes:
    """mu-law at 8 kHz, of a length that the recorder did not know."""
    return struct.pack(">4sIIIII", b".snd", 24, 0xFFFF_FFFF, 1, 8000, 1) + b"\x80" * round(8000 * seconds)


def amr(seconds: float = 1.0) -> bytes:
    """AMR at 12.2 kbit/s: frames of 20 ms."""
    return b"#!AMR\n" + (b"\x3c" + b"\x55" * 31) * round(seconds / 0.02)


def adts(seconds: float = 1.0, *, wrong_by: int = 0) -> bytes:
    """AAC at 8 kHz mono in frames of 1,024 samples and 80 bytes; their headers may be `wrong_by` some bytes about that."""
    said = 80 - wrong_by
    header = bytes([0xFF, 0xF1, 0x6C, 0x40 | said >> 11, said >> 3 & 0xFF, (said & 7) << 5 | 0x1F, 0xFC])
    return header.ljust(80, b"\x55") * round(seconds * 8000 / 1024)


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
