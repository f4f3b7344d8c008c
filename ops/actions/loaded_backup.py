"""How is one of our own archives loaded, and is what was loaded what was dumped?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.actions.encrypted import Sealing, streamed
from ops.errors import DataDiffers, RestoreRefused
from ops.model.database import TableSummary
from ops.model.manifest import Manifest
from ops.ports import LoadSource

_SHOWN = 5


def source_of(manifest: Manifest | None, path: Path, sealing: Sealing | None = None) -> LoadSource:
    """One of our own archives as something to load; an encrypted one as a stream. Raises: ConfigurationError."""
    if manifest is None:
        raise RestoreRefused(f"{path} has no manifest any more")
    compression = manifest.codec if manifest.format == "sqlite" and manifest.codec != "lz4" else "none"
    loaded_bytes = manifest.database.size_bytes
    plain = LoadSource(path, manifest.format, compression=compression, loaded_bytes=loaded_bytes)
    return streamed(plain, manifest, sealing)


def refuse_differences(manifest: Manifest, found: tuple[TableSummary, ...]) -> None:
    """Every table as it was when it was dumped. Raises: DataDiffers."""
    found_differences = differences(manifest, found)
    if found_differences:
        raise DataDiffers(
            f"what was loaded from {manifest.id} is not what was dumped; the live database is as it was",
            cause=found_differences,
            hint="inv verify --drill, and another backup: inv backups",
        )


def differences(manifest: Manifest, found: Sequence[TableSummary]) -> str:
    """What differs between a backup's tables and loaded ones, the first few by name; empty where nothing does."""
    wanted, got = ({table.name: table for table in tables} for tables in (manifest.tables, found))
    differing = [
        f"{name}: {_counted(wanted.get(name))} in the backup, {_counted(got.get(name))} loaded"
        for name in sorted(wanted.keys() | got.keys())
        if wanted.get(name) != got.get(name)
    ]
    more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return "; ".join(differing[:_SHOWN]) + more


def _counted(table: TableSummary | None) -> str:
    return "not there" if table is None else f"{table.row_count} rows ({table.checksum[:8]})"
