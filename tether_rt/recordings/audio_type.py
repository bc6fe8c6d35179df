"""The audio type of a recording, read from its content alone: a vendor's file name and content type are only claims. Pure.

A page, a picture, a document or text is never taken for audio, so nothing a vendor sends is served as something that a browser
would run.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tether_rt.recordings.audio_frames import find_frames, frame_at


@dataclass(frozen=True, slots=True)
class AudioType:
    """An audio type: the extension of the recording's key, the content type it is served with, its name, and whether browsers
    play it."""

    extension: str
    content_type: str
    name: str
    is_playable: bool = True


MP3: Final = AudioType("mp3", "audio/mpeg", "MP3")
WAV: Final = AudioType("wav", "audio/wav", "WAV")
OGG: Final = AudioType("ogg", "audio/ogg", "OGG")
M4A: Final = AudioType("m4a", "audio/mp4", "M4A")
FLAC: Final = AudioType("flac", "audio/flac", "FLAC")
WEBM: Final = AudioType("webm", "audio/webm", "WebM")
AAC: Final = AudioType("aac", "audio/aac", "AAC without a container (ADTS)", is_playable=False)
"""Some browsers play it, and none can wind in it: it has no index."""
AMR: Final = AudioType("amr", "audio/amr", "AMR", is_playable=False)
AMR_WB: Final = AudioType("amr", "audio/amr-wb", "AMR-WB", is_playable=False)
W64: Final = AudioType("w64", "audio/x-w64", "Wave64", is_playable=False)
AU: Final = AudioType("au", "audio/basic", "AU", is_playable=False)

EXTENSIONS: Final = frozenset(
    "mp3 wav ogg m4a flac webm aac amr w64 au aiff caf wma wv voc sph ra qcp ilbc silk evrc ape mpc".split()
)
"""Of all types."""

HEAD_BYTES: Final = 64 * 1024
"""How many of a recording's first bytes `sniff` uses."""
W64_RIFF: Final = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"


def _foreign(extension: str, name: str) -> AudioType:
    return AudioType(extension, f"audio/x-{extension}", name, is_playable=False)


_BY_START: Final = (
    (b"OggS\x00", OGG),
    (b"fLaC", FLAC),
    (b"#!AMR\n", AMR),
    (b"#!AMR_MC1.0\n", AMR),
    (b"#!AMR-WB\n", AMR_WB),
    (b"#!AMR-WB_MC1.0\n", AMR_WB),
    (W64_RIFF, W64),
    (b".snd", AU),
    (b"caff\x00\x01", _foreign("caf", "CAF")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", _foreign("wma", "Windows Media (WMA)")),
    (b"ADIF", AAC),
    (b"wvpk", _foreign("wv", "WavPack")),
    (b"Creative Voice File\x1a", _foreign("voc", "Creative Voice (VOC)")),
    (b"NIST_1A\n", _foreign("sph", "NIST SPHERE")),
    (b".ra\xfd", _foreign("ra", "RealAudio")),
    (b".RMF\x00", _foreign("ra", "RealAudio")),
    (b"#!iLBC", _foreign("ilbc", "iLBC")),
    (b"#!SILK_V3", _foreign("silk", "SILK")),
    (b"\x02#!SILK_V3", _foreign("silk", "SILK")),
    (b"#!EVRC", _foreign("evrc", "EVRC")),
    (b"MAC ", _foreign("ape", "Monkey's Audio")),
    (b"MPCK", _foreign("mpc", "Musepack")),
    (b"MP+", _foreign("mpc", "Musepack")),
)

_PLAYABLE_IN_WAV: Final = frozenset({1, 3, 6, 7})
"""PCM, floats, A-law and µ-law."""
_EXTENSIBLE: Final = 0xFFFE
_IN_WAV: Final = {
    0x02: "ADPCM",
    0x10: "ADPCM",
    0x11: "IMA ADPCM",
    0x14: "G.723",
    0x17: "Dialogic ADPCM",
    0x22: "TrueSpeech",
    0x31: "GSM 6.10",
    0x40: "G.721",
    0x41: "G.728",
    0x42: "G.723.1",
    0x45: "G.726",
    0x50: "MPEG Layer II",
    0x55: "MP3",
    0x59: "G.723",
    0x64: "G.726",
    0x65: "G.722",
    0x83: "G.729",
    0x85: "G.726",
    0x160: "Windows Media",
    0x161: "Windows Media",
    0x8F: "G.722",
    0xA109: "Speex",
}
_IN_MP4: Final = {
    b"samr": "AMR",
    b"sawb": "AMR-WB",
    b"alac": "Apple Lossless",
    b"ac-3": "AC-3",
    b"sqcp": "QCELP",
    b"sevc": "EVRC",
    b"ulaw": "µ-law",
    b"alaw": "A-law",
}
"""Codecs that browsers do not play, by the name of their sample description."""

_MP4_BRANDS: Final = frozenset(
    b"M4A |M4B |M4P |F4A |MSNV|mp41|mp42|mp71|avc1|dash|isom|iso2|iso3|iso4|iso5|iso6|iso7|iso8|iso9|3gp4|3gp5|3gp6|3gp7".split(
        b"|"
    )
)
# DocType (RFC 8794 section 11.2.8): the id 0x4282, a length of one to eight bytes, the name.
_WEBM_DOCTYPE: Final = re.compile(rb"\x42\x82[\x01-\xff][\x00-\x04]{0,7}webm")
# An ID3 tag before one of these is the known way to disguise a page or a program as a song; and a film holds frames, too.
_NOT_AUDIO: Final = (b"<", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"\x7fELF", b"MZ", b"#!")
_FILMS: Final = (b"RIFF", b"RF64", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV\x01", b"\x1a\x45\xdf\xa3")


def sniff(head: bytes) -> AudioType | None:
    """Return the type of the audio whose first `HEAD_BYTES` (or all bytes) are `head`, or None if it is not audio."""
    for start, audio in _BY_START:
        if head.startswith(start):
            return _in_ogg(head) if audio is OGG else audio
    if head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE":
        return _in_wav(head)
    if head.startswith(b"RIFF") and head[8:12] == b"QLCM":
        return _foreign("qcp", "QCP")
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return _foreign("aiff", "AIFF")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if _WEBM_DOCTYPE.search(head[:64]) else None
    if head[4:8] == b"ftyp":
        return _in_mp4(head)
    if head.startswith(b"ID3"):
        return _after_id3(head)
    if head.startswith((*_NOT_AUDIO, *_FILMS)):
        return None
    # Recorders that cut a stream leave zeros, or the rest of a frame, before the first whole one.
    return _of_frames(head, len(head) - len(head.lstrip(b"\0")))


def id3_bytes(head: bytes) -> int | None:
    """Return the length of the ID3v2 tag at the beginning (id3.org, ID3v2.4 section 3.1), None if there is none."""
    if (
        head[:3] != b"ID3"
        or len(head) < 10
        or head[3] not in (2, 3, 4)
        or head[4] == 0xFF
        or any(byte & 0x80 for byte in head[6:10])
    ):
        return None
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def riff_chunks(head: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the start and the length of each chunk of a WAV whose header is in `head`."""
    at = 12
    while at + 8 <= len(head):
        name, size_bytes = struct.unpack_from("<4sI", head, at)
        yield name, at + 8, size_bytes
        at += 8 + size_bytes + size_bytes % 2


def _of_frames(head: bytes, start: int) -> AudioType | None:
    at = find_frames(head, start)
    frame = frame_at(head, at) if at is not None else None
    if frame is None:
        return None
    return AAC if frame.stream.is_aac else MP3


def _in_wav(head: bytes) -> AudioType:
    for name, at, size_bytes in riff_chunks(head):
        if name == b"fmt " and size_bytes >= 16 and at + 16 <= len(head):
            codec = int.from_bytes(head[at : at + 2], "little")
            if codec == _EXTENSIBLE:
                # Its own code is the beginning of the id of 16 bytes behind three further fields.
                codec = int.from_bytes(head[at + 24 : at + 26], "little")
            if codec not in _PLAYABLE_IN_WAV:
                known = _IN_WAV.get(codec, f"codec {codec:#06x}")
                return AudioType(WAV.extension, WAV.content_type, f"{known} in WAV", is_playable=False)
            break
    return WAV


def _in_ogg(head: bytes) -> AudioType:
    # A page is a header of 27 bytes, as many lengths as its last one says, and the packets (RFC 3533 section 6).
    if len(head) > 27 and head[27 + head[26] :].startswith(b"Speex   "):
        return AudioType(OGG.extension, OGG.content_type, "Speex in OGG", is_playable=False)
    return OGG


def _in_mp4(head: bytes) -> AudioType | None:
    """Return the type of an MP4 container by its brands (ISO 14496-12 section 4.3), which pictures (HEIC, AVIF) use as well."""
    size = int.from_bytes(head[:4], "big")
    if not 16 <= size <= 1024:
        return None
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    if any(brand.startswith((b"hei", b"hev", b"avi", b"mif", b"msf", b"jp2")) for brand in brands):
        return None
    if not any(brand in _MP4_BRANDS for brand in brands):
        return None
    # The box of sample descriptions: version, count, and the first one's length and name.
    at = head.find(b"stsd")
    codec = _IN_MP4.get(head[at + 16 : at + 20]) if at >= 0 else None
    return AudioType(M4A.extension, M4A.content_type, f"{codec} in MP4", is_playable=False) if codec is not None else M4A


def _after_id3(head: bytes) -> AudioType | None:
    """Return the type of what follows an ID3v2 tag: MP3 if the tag is larger than `head`, or if there is nothing."""
    tag_bytes = id3_bytes(head)
    if tag_bytes is None:
        return None
    content = head[tag_bytes:].lstrip(b"\0 \t\r\n")
    if content.startswith(b"fLaC"):
        return FLAC
    return None if content.startswith(_NOT_AUDIO) else _of_frames(content, 0) or MP3
