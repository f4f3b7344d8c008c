"""Which backups are there, how good is each, and is the newest good one young enough?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ops.errors import BackupTooOld
from ops.model.manifest import DatabaseIdentity, Manifest, of_database
from ops.model.retention import is_future, is_good, is_pinned
from ops.ports import Archives, Clock, Reporter


def list_backups(
    archives: Archives, clock: Clock, report: Reporter, *, can_decrypt: bool = False
) -> tuple[Mapping[str, object], ...]:
    """One row per backup, newest first; the first ten keys are a fixed interface for other programs.

    Backups that count no longer are named in warnings: they would be missed in silence otherwise.

    `file` is the archive's path, `size_change` how much larger than the one before of the same database (0.1 is a
    tenth), None for the first; `drillable` says whether a drill could be made here, which an encrypted one needs a
    key for.

    Args:
        archives: the catalog.
        clock: tells the ages.
        report: hears which backups are damaged.
        can_decrypt: whether there is a key here.
    """
    manifests, damaged = archives.survey()
    warn_of_damaged(damaged, report)
    now = clock.now()
    rows = []
    for manifest, older in zip(manifests, _predecessors(manifests), strict=True):
        row = _row(manifest, older, archives.place(manifest), now)
        row["drillable"] = manifest.encryption is None or can_decrypt
        rows.append(row)
    return tuple(rows)


def warn_of_damaged(damaged: Iterable[tuple[str, str]], report: Reporter) -> None:
    """Name the backups that count no longer, each with its reason."""
    for backup_id, why in damaged:
        report.warn(f"{backup_id} is no backup any more: {why}")


def refuse_older_than(
    archives: Archives, clock: Clock, max_age: timedelta, *, live: DatabaseIdentity | None = None
) -> Manifest:
    """The newest good backup of the live database (None: of any), if it is young enough.

    Raises: BackupTooOld, also where there is no good backup at all.
    """
    now = clock.now()
    newest = next(
        (one for one in of_database(archives.manifests(), live) if is_good(one) and not is_future(one, now)), None
    )
    if newest is None:
        raise BackupTooOld(f"there is no good backup{f' of {live}' if live else ''}", hint="inv backup")
    age = now - newest.started_at
    if age > max_age:
        raise BackupTooOld(
            f"the newest good backup {newest.id} is {_said(age)} old, {_said(max_age)} are allowed",
            hint="inv backup, then: inv scheduler --status",
        )
    return newest


def _predecessors(manifests: Sequence[Manifest]) -> Iterable[Manifest | None]:
    """For each backup the one before of the same database; both newest first."""
    found: list[Manifest | None] = []
    last: dict[DatabaseIdentity, Manifest] = {}
    for manifest in reversed(manifests):
        found.append(last.get(manifest.identity))
        last[manifest.identity] = manifest
    return reversed(found)


def _row(manifest: Manifest, older: Manifest | None, file: str, now: datetime) -> dict[str, object]:
    return {
        "id": manifest.id,
        "file": file,
        "size_bytes": manifest.size_bytes,
        "sha256": manifest.sha256,
        "database": manifest.database.name,
        "revision": ",".join(manifest.revisions) or None,
        "reason": manifest.reason,
        "pinned": is_pinned(manifest, now),
        "created_at": manifest.started_at,
        "verified_at": manifest.verified_at,
        "age_s": round((now - manifest.started_at).total_seconds()),
        "note": manifest.note,
        "environment": manifest.environment,
        "format": manifest.format,
        "codec": manifest.codec,
        "encryption": manifest.encryption,
        "pin_note": manifest.pin_note,
        "expires_at": manifest.expires_at,
        "drilled_at": None if manifest.drill is None else manifest.drill.at,
        "suspicious": list(manifest.suspicious),
        "acknowledged": manifest.acknowledged,
        "good": is_good(manifest),
        "offsite": list(manifest.offsite),
        "size_change": _size_change(manifest, older),
    }


def _size_change(manifest: Manifest, older: Manifest | None) -> float | None:
    if older is None or older.size_bytes == 0:
        return None
    return round(manifest.size_bytes / older.size_bytes - 1, 3)


def _said(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.0f} s"
