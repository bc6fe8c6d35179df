"""The tarball of the package for JavaScript: what is in it, and that its types say what it does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import orjson

from tests.support.documents import ROOT, text_of
from tests.support.node import PACKAGE
from tether_rt import __version__
from tether_rt.domain.contract import load_contract

ASYNCAPI: dict[str, Any] = orjson.loads(load_contract().asyncapi_json())
TYPES = "clients/javascript/types/index.d.ts"
USE = Path(__file__).with_name("javascript_types.ts")


def test_it_holds_its_modules_its_types_and_nothing_else(javascript: Path) -> None:
    folder = javascript / "node_modules" / "@tether-rt" / "client"
    packed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    modules = {f"src/{path.name}" for path in (PACKAGE / "src").iterdir()}
    assert packed == {"package.json", "README.md", "LICENSE", "types/index.d.ts", *modules}
    described = json.loads((folder / "package.json").read_text())
    assert described["version"] == __version__
    assert "dependencies" not in described
    assert (folder / "LICENSE").read_text() == text_of("LICENSE")
    assert [path.name for path in (javascript / "node_modules").iterdir() if not path.name.startswith(".")] == ["@tether-rt"]


def test_its_types_fit_its_modules_its_users_and_the_servers_messages(javascript: Path) -> None:
    """One run of the compiler, which takes seconds."""
    examples = [
        (name, {**example["payload"], "position": "9f.1"})
        for name, message in ASYNCAPI["components"]["messages"].items()
        if name != "hello"
        for example in message["examples"]
    ]
    lines = [f"({json.dumps(payload)}) satisfies Extract<FeedItem, {{ event: '{name}' }}>;" for name, payload in examples]
    program = 'import type { FeedItem } from "@tether-rt/client";\n' + "\n".join(lines)
    (javascript / "examples.ts").write_text(program)
    (javascript / "use.ts").write_text(USE.read_text())
    options = json.loads((PACKAGE / "tsconfig.json").read_text())["compilerOptions"]
    included = [str(PACKAGE / part) for part in ("src", "test")] + ["examples.ts", "use.ts"]
    (javascript / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": included}))
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(["node", compiler, "-p", javascript], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(examples) > 10


def test_its_types_have_every_field_of_every_event() -> None:
    declared = text_of(TYPES)
    for name, message in ASYNCAPI["components"]["messages"].items():
        if name in ("hello", "resync"):
            continue
        schema = message["payload"]
        schema = ASYNCAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        for field in schema["properties"]["data"].get("properties", {}):
            assert re.search(rf"\b{field}\??:", declared), (name, field)
    assert (ROOT / TYPES).is_file()
