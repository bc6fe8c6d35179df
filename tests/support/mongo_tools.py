"""`mongodump` and `mongorestore` as docs/backups.md calls them, for machines without MongoDB's Database Tools.

    python -m tests.support.mongo_tools mongodump --uri URI --oplog --gzip --out FOLDER
    python -m tests.support.mongo_tools mongorestore --uri URI --oplogReplay --drop --gzip FOLDER

The folder has the tools' layout (`<database>/<collection>.bson.gz`, `.metadata.json.gz` in Extended JSON). The dump is read at
one cluster time, so its oplog is empty. As `mongorestore` does, a restore drops a collection, creates it with its options and
a new UUID, inserts the documents, leaves out those whose `_id` is there, and then makes the indexes.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import bson
from bson import json_util
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

_NOT_DUMPED: Final = ("admin", "config", "local")
_JSON: Final = json_util.CANONICAL_JSON_OPTIONS
_AS_STORED: Final = bson.CodecOptions(document_class=RawBSONDocument)

Client = MongoClient[dict[str, Any]]


def path_with_tools(folder: Path) -> str:
    """Return a `PATH` on which both tools are: MongoDB's own where they are installed, otherwise these, put into `folder`."""
    for name in ("mongodump", "mongorestore"):
        if shutil.which(name) is None:
            script = folder / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {__name__} {name} "$@"\n')
            script.chmod(0o755)
    return os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"]))


def dump(client: Client, folder: Path) -> None:
    """Write what is stored at one moment."""
    with client.start_session(snapshot=True) as moment:
        for database in client.list_databases():
            name = str(database["name"])
            if name in _NOT_DUMPED:
                continue
            (folder / name).mkdir(parents=True)
            for collection in client[name].list_collections():
                documents: Collection[Any] = client[name].get_collection(collection["name"], codec_options=_AS_STORED)
                about = {
                    "options": collection["options"],
                    "indexes": [*client[name][collection["name"]].list_indexes()],
                    "uuid": bytes(collection["info"]["uuid"]).hex(),
                    "collectionName": collection["name"],
                    "type": "collection",
                }
                with gzip.open(folder / name / f"{collection['name']}.metadata.json.gz", "wt") as file:
                    file.write(json_util.dumps(about, json_options=_JSON))
                with gzip.open(folder / name / f"{collection['name']}.bson.gz", "wb") as content:
                    for document in documents.find({}, session=moment):
                        content.write(document.raw)
    gzip.open(folder / "oplog.bson.gz", "wb").close()


def restore(client: Client, folder: Path) -> None:
    """Put back what a folder has."""
    for path in sorted(folder.glob("*/*.metadata.json.gz")):
        with gzip.open(path, "rt") as file:
            about: dict[str, Any] = json_util.loads(file.read(), json_options=_JSON)
        database, name = client[path.parent.name], about["collectionName"]
        database.drop_collection(name)
        database.create_collection(name, **about["options"])
        with gzip.open(path.with_name(f"{name}.bson.gz"), "rb") as content:
            for documents in _batches(content.read()):
                try:
                    database.get_collection(name, codec_options=_AS_STORED).insert_many(documents, ordered=False)
                except BulkWriteError as error:
                    sys.stderr.write(f"{name}: {len(error.details['writeErrors'])} documents failed\n")
        if indexes := [dict(index) for index in about["indexes"] if index["name"] != "_id_"]:
            database.command("createIndexes", name, indexes=indexes)


def _batches(content: bytes) -> Sequence[Sequence[RawBSONDocument]]:
    documents = bson.decode_all(content, codec_options=_AS_STORED)
    return [documents[start : start + 1000] for start in range(0, len(documents), 1000)]


def main(words: Sequence[str]) -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    dumping = commands.add_parser("mongodump")
    dumping.add_argument("--oplog", action="store_true", required=True)
    dumping.add_argument("--out", dest="folder", type=Path, required=True)
    restoring = commands.add_parser("mongorestore")
    restoring.add_argument("--oplogReplay", action="store_true", required=True)
    restoring.add_argument("--drop", action="store_true", required=True)
    restoring.add_argument("folder", type=Path)
    for command in (dumping, restoring):
        command.add_argument("--uri", required=True)
        command.add_argument("--gzip", action="store_true", required=True)
    asked = parser.parse_args(words)
    with MongoClient[dict[str, Any]](asked.uri) as client:
        (dump if asked.command == "mongodump" else restore)(client, asked.folder)


if __name__ == "__main__":
    main(sys.argv[1:])
