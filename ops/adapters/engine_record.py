"""Where is the engine of a stack written down?

`engine.json` in the stack's state folder, written once by the first `up` and removed by `inv down --forget`.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from ops.adapters.durable_files import replace_text
from ops.errors import ConfigurationError
from ops.model.engine_choice import EngineRecord


class EngineRecordFile:
    """The record of one stack."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "engine.json"

    def read(self) -> EngineRecord | None:
        """The record, None before the first `up`. Raises: ConfigurationError (unreadable)."""
        try:
            document = json.loads(self._path.read_text("utf-8"))
            return EngineRecord(
                document["engine"],
                document["endpoint"],
                document["identity"],
                datetime.fromisoformat(document["recorded_at"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as exc:
            raise ConfigurationError(
                f"{self._path} cannot be read",
                cause=f"{type(exc).__name__}: {exc}",
                hint=f"look at it; it should hold the engine this stack runs on, or nothing: mv {self._path} /tmp/",
            ) from exc

    def write(self, record: EngineRecord) -> None:
        """Write the record whole or not at all."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {
            "engine": record.engine,
            "endpoint": record.endpoint,
            "identity": record.identity,
            "recorded_at": record.recorded_at.isoformat(),
        }
        replace_text(self._path, json.dumps(document, indent=2) + "\n")

    def forget(self) -> None:
        """Remove the record; harmless without one."""
        self._path.unlink(missing_ok=True)
