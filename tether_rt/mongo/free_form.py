"""Free-form JSON inside of documents, read as it was stored.

The driver decodes {"$ref": …, "$id": …} to a `DBRef`, which is no JSON and forgets the order of the fields. Raw documents are
decoded one level at a time, without that.
"""

from __future__ import annotations

from typing import Any, Final

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

RAW: Final = CodecOptions(document_class=RawBSONDocument, tz_aware=True)
"""Codec options for a collection whose documents go through `as_stored`."""


def as_stored(value: Any) -> Any:
    """Return a value of a raw document with dicts in place of raw documents, at every level."""
    if isinstance(value, RawBSONDocument):
        return {name: as_stored(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_stored(inner) for inner in value]
    return value
