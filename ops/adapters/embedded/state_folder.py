"""What does the embedded engine keep of a stack, and where?

    <state>/identity           what tells this engine's state from another's
    <state>/key                key of the digests below, so that they tell nothing of the secrets they cover
    <state>/database-port      the port that the server was given, kept from start to start
    <state>/volumes/<name>/    data, and `volume.json`
    <state>/run/<service>.*    record, lock and log of each process

Nothing outside is ever created, opened up or removed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ops.errors import ConfigurationError

_PASSABLE = 0o711
"""The server's user passes through these folders to its data; only we list them."""


class StateFolder:
    """The folder of one stack; made at the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def run(self) -> Path:
        """Records, locks and logs; for our eyes only."""
        return self.path / "run"

    def prepare(self) -> None:
        """Make the folders."""
        for folder, mode in ((self.path, _PASSABLE), (self.path / "volumes", _PASSABLE), (self.run, 0o700)):
            try:
                folder.mkdir(mode=mode, parents=True, exist_ok=True)
            except OSError as exc:
                raise ConfigurationError(
                    f"{folder} cannot be made", cause=str(exc), hint="export OPS_STATE_DIR=FOLDER"
                ) from exc

    def identity(self) -> str:
        """Made once."""
        return self._token("identity")

    def digest(self, document: Any) -> str:
        """A digest that changes with the document and with this folder only."""
        text = json.dumps(document, sort_keys=True, default=str)
        return hmac.new(self._token("key").encode(), text.encode(), hashlib.sha256).hexdigest()

    def database_port(self) -> int | None:
        """The port recorded last."""
        with suppress(OSError, ValueError):
            return int((self.path / "database-port").read_text())
        return None

    def record_database_port(self, port: int) -> None:
        """Keep a port for the next start."""
        _write(self.path / "database-port", str(port))

    def volume(self, name: str) -> Path:
        """A volume's folder, whether or not it exists."""
        return self.path / "volumes" / name

    def volumes(self) -> dict[str, str]:
        """Name -> the compose hash it was made with."""
        found: dict[str, str] = {}
        for folder in sorted((self.path / "volumes").glob("*/")):
            found[folder.name] = ""
            with suppress(OSError, ValueError, KeyError):
                found[folder.name] = str(json.loads((folder / "volume.json").read_text())["config_hash"])
        return found

    def make_volume(self, name: str, config_hash: str) -> None:
        """Make an empty volume; one that exists stays as it is."""
        self.prepare()
        folder = self.volume(name)
        if not folder.exists():
            folder.mkdir(mode=_PASSABLE)
            _write(folder / "volume.json", json.dumps({"config_hash": config_hash}))

    def remove_volume(self, name: str) -> None:
        """Delete a volume with all data. Out of the way by one rename first, so that no half of it is ever seen."""
        folder = self.volume(name)
        with suppress(FileNotFoundError):
            gone = self.path / f"removed-{secrets.token_hex(4)}"
            folder.rename(gone)
        for leftover in self.path.glob("removed-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _token(self, name: str) -> str:
        path = self.path / name
        with suppress(FileNotFoundError):
            return path.read_text()
        self.prepare()
        token = secrets.token_hex(16)
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as to,
        ):
            to.write(token)
        return path.read_text()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    partial.replace(path)
