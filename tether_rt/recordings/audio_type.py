"""The audio type of a recording, read from its content alone: a vendor's file name and content type are only claims. Pure.

A page, a picture, a document or text is never taken for audio, so nothing a vendor sends is served as something that a browser
would run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class AudioType:
    """An audio type: the extension of the recording's key, and the content type it is served with."""

    extension: str
    content_type: str


MP3: Final = AudioType("mp3", "audio/mpeg")
WAV: Final = AudioType("wav", "audio/wav")
OGG: Final = AudioType("ogg", "audio/ogg")
M4A: Final = AudioType("m4a", "audio/mp4")
FLAC: Final = AudioType("flac", "audio/flac")
WEBM: Final = AudioType("webm", "audio/webm")

HEAD_BYTES: Final = 64 * 1024
"""How many of a recording's first bytes `sniff` uses."""

_MP4_BRANDS: Final = frozenset(
    b"M4A |M4B |M4P |F4A |MSNV|mp41|mp42|mp71|avc1|dash|isom|iso2|iso3|iso4|iso5|iso6|iso7|iso8|iso9|3gp4|3gp5|3gp6|3gp7".split(
        b"|"
    )
)
# DocType (RFC 8794 section 11.2.8): the id 0x4282, a length of one to eight bytes, the name.
_WEBM_DOCTYPE: Final = re.compile(rb"\x42\x82[\x01-\xff][\x00-\x04]{0,7}webm")
# An ID3 tag before one of these is the known way to disguise a page or a program as a song.
_NOT_AUDIO: Final = (b"<", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"\x7fELF", b"MZ", b"#!")
_MP3_TRAILERS: Final = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")

_MPEG1: Final = 3
_LAYER_2, _LAYER_3 = 2, 1
_KBITS: Final = {
    (True, _LAYER_3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, _LAYER_2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, _LAYER_3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _LAYER_2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_HZ: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def sniff(head: bytes) -> AudioType | None:
    """Return the type of the audio whose first `HEAD_BYTES` (or all bytes) are `head`, or None if it is not audio."""
    if head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE":
        return WAV
    if head.startswith(b"OggS\x00"):
        return OGG
    if head.startswith(b"fLaC"):
        return FLAC
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if _WEBM_DOCTYPE.search(head[:64]) else None
    if head[4:8] == b"ftyp":
        return M4A if _is_mp4_audio(head) else None
    if head.startswith(b"ID3"):
        return _after_id3(head)
    # Recorders that cut a stream leave zeros before the first frame.
    start = len(head[:4096]) - len(head[:4096].lstrip(b"\0"))
    return MP3 if _is_mpeg_audio(head, start) else None


def _is_mp4_audio(head: bytes) -> bool:
    """Whether the brands of an MP4 container (ISO 14496-12 section 4.3) are audio's; pictures (HEIC, AVIF) use it as well."""
    size = int.from_bytes(head[:4], "big")
    if not 16 <= size <= 1024:
        return False
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    return not any(brand.startswith((b"hei", b"hev", b"avi", b"mif", b"msf", b"jp2")) for brand in brands) and any(
        brand in _MP4_BRANDS for brand in brands
    )


def _after_id3(head: bytes) -> AudioType | None:
    """Return the type of what follows an ID3v2 tag (id3.org, ID3v2.4 section 3.1): MP3 if the tag is larger than `head`."""
    if len(head) < 10 or head[3] not in (2, 3, 4) or head[4] == 0xFF or any(byte & 0x80 for byte in head[6:10]):
        return None
    tag_bytes = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    content = head[tag_bytes:].lstrip(b"\0 \t\r\n")
    if content.startswith(b"fLaC"):
        return FLAC
    return None if content.startswith(_NOT_AUDIO) else MP3


def _is_mpeg_audio(head: bytes, start: int) -> bool:
    """Whether an MPEG audio frame begins at `start`, followed by another of its kind if `head` reaches that far."""
    first = _frame(head[start : start + 4])
    if first is None:
        return False
    kind, frame_bytes = first
    rest = head[start + frame_bytes :]
    second = _frame(rest[:4])
    return (second is not None and second[0] == kind) or rest.startswith(_MP3_TRAILERS) or not rest.strip(b"\0")


def _frame(header: bytes) -> tuple[tuple[int, int, int], int] | None:
    """Return what all frames of a file share, and the frame's length, from its header (ISO 11172-3 section 2.4.2.3).

    Layer I is refused: nobody records calls in it, and its sync word is the byte order mark of UTF-16 text. So is the free
    bitrate, whose frames have no length.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, sample_rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (_LAYER_2, _LAYER_3) or bitrate in (0, 15) or sample_rate == 3 or header[3] & 3 == 2:
        return None
    samples = 576 if layer == _LAYER_3 and version != _MPEG1 else 1152
    bits_s = _KBITS[version == _MPEG1, layer][bitrate - 1] * 1000
    frame_bytes = samples // 8 * bits_s // _SAMPLE_HZ[version][sample_rate] + padding
    return (version, layer, sample_rate), frame_bytes
