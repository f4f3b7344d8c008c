"""An off-site target in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from ops.errors import OffsiteFailed
from ops.ports import Reporter


class FakeStore:
    """`files` is what is there; `log` what was done; `fails` the methods, or `method name`, that are refused.

    `looks` counts how often it was listed.
    """

    def __init__(self, name: str = "s3") -> None:
        self.name = name
        self.place = f"fake://{name}"
        self.files: dict[str, bytes] = {}
        self.log: list[str] = []
        self.fails: set[str] = set()
        self.looks = 0

    def sizes(self) -> Mapping[str, int]:
        self._refuse("sizes", "")
        self.looks += 1
        return {name: len(content) for name, content in self.files.items()}

    def read(self, name: str) -> bytes:
        return b"".join(self.blocks(name))

    def write(self, name: str, content: bytes) -> None:
        self._refuse("write", name)
        self.files[name] = content

    def upload(self, path: Path, name: str, sha256: str, report: Reporter) -> None:
        self._refuse("upload", name)
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
        self.files[name] = content

    def blocks(self, name: str) -> Iterator[bytes]:
        self._refuse("blocks", name)
        if name not in self.files:
            raise OffsiteFailed(f"cannot read {name}")
        yield self.files[name]

    def delete(self, name: str) -> None:
        self._refuse("delete", name)
        self.files.pop(name, None)

    def clean(self, now: datetime) -> tuple[str, ...]:
        return ()

    def _refuse(self, method: str, name: str) -> None:
        if method in self.fails or f"{method} {name}" in self.fails:
            raise OffsiteFailed(f"cannot {method} {name}", cause="403")
        if method not in {"sizes", "blocks"}:
            self.log.append(f"{method} {name}")
