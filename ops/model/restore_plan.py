"""What would a restore do, and what forbids it?

A plan is made from what was read, shows everything a person should know before it happens, and is carried out
exactly. What forbids the restore is collected, all of it, before anybody is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import join
from typing import Literal

from ops.errors import RestoreRefused, RevisionConflict
from ops.model.change import ChangeKind
from ops.model.copy_name import LONGEST_BYTES, copy_name
from ops.model.database import DatabaseFacts, DatabaseKind, Inspection, ServerOffers
from ops.model.manifest import Manifest
from ops.model.revision import History
from ops.model.size import human_size

SPACE_FACTOR = 1.2
"""Room that a restored database needs, beside its size when it was dumped: its WAL while it is loaded."""
PLAIN_FACTOR = 2.0
"""Size of a loaded database beside its SQL text, indexes included: seen 1.5."""
PACKED_FACTOR = 8.0
"""Size of a loaded database beside a compressed archive: seen 4 to 7."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """Everything a restore will do. Sizes are bytes, times aware UTC."""

    change_id: str
    kind: ChangeKind
    """`restore`, or `rollback` where it goes back to a recovery point's backup."""
    undoes: str
    """For a rollback: the id of the change that it undoes."""
    stack: str
    database: str
    """The live database."""
    database_kind: DatabaseKind
    is_live_there: bool
    """False where somebody dropped the live database: it is made anew, and nothing is kept."""
    live_size_bytes: int
    scratch: str
    """The new database's name while it is made."""
    target: str
    """Its name afterwards: the live one, or the `--as` name."""
    kept: str
    """What the old database is called afterwards; empty where nothing is swapped."""
    kept_until: datetime | None
    """Until when the old database is kept; with `--as`, the new one."""
    free_bytes: int | None
    need_bytes: int = 0
    source: Literal["backup", "foreign"] = "backup"
    backup_id: str = ""
    file: str = ""
    """Where the archive or the foreign file lies; an absolute path."""
    format: str = ""
    compression: str = "none"
    archive_size_bytes: int = 0
    sha256: str = ""
    taken_at: datetime | None = None
    earlier_s: float = 0.0
    """How much older than asked for with `--at` the chosen backup is."""
    origin: str = ""
    """Whose backup it is, or what the foreign file says of its server."""
    rows: int | None = None
    revisions: tuple[str, ...] | None = None
    """Of the backup; None where only loading can tell."""
    upgrades: tuple[str, ...] = ()
    """Revisions to apply to reach the head; what a foreign file needs is only known once it is loaded."""
    is_revision_kept: bool = False
    refusals: tuple[str, ...] = ()
    conflict: str = ""
    """Why its revision does not fit the schema history."""
    warnings: tuple[str, ...] = ()

    @property
    def is_swapped(self) -> bool:
        """Whether the new database takes the live one's place."""
        return self.target == self.database

    def refuse(self, where: Sequence[str] = (), *, into: Sequence[str] | None = None) -> None:
        """Raise what forbids this plan.

        Args:
            where: arguments that name the catalog, such as `--from s3`.
            into: arguments that name what is filled; None: `--as` its name, where that is not the live database.

        Raises: RestoreRefused, RevisionConflict.
        """
        what = f"{self.backup_id or self.file} is not restored into {self.target}"
        if self.refusals:
            place = into if into is not None else [] if self.is_swapped else ["--as", self.target]
            words = ["inv", "restore", *where, "--file", self.backup_id or self.file, *place, "--dry-run"]
            hint = f"{join(words)}, for the whole plan"
            raise RestoreRefused(what, cause="; ".join(self.refusals), hint=hint)
        if self.conflict:
            raise RevisionConflict(
                what, cause=self.conflict, hint="inv restore with --keep-revision, or git pull first"
            )


@dataclass(frozen=True, slots=True)
class Target:
    """Where a restore goes."""

    change_id: str
    stack: str
    live: DatabaseFacts | None
    """None where the live database is gone."""
    database: str
    offers: ServerOffers
    free_bytes: int | None
    blockers: tuple[str, ...]
    as_name: str = ""
    taken_names: frozenset[str] = frozenset()
    kept_until: datetime | None = None
    kind: ChangeKind = "restore"
    undoes: str = ""


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file that is not one of our backups, and what reading all of it said."""

    path: str
    format: str
    compression: str
    size_bytes: int
    inspection: Inspection


def plan_for_backup(
    manifest: Manifest,
    target: Target,
    *,
    history: History | None,
    is_revision_kept: bool = False,
    from_stack: str = "",
    asked_at: datetime | None = None,
    path: str = "",
    can_decrypt: bool = False,
) -> RestorePlan:
    """The plan for one of our backups. `history` None: the project has none, revisions stay as they are."""
    facts = manifest.database
    upgrades, conflict = _upgrades(manifest.revisions, history, is_kept=is_revision_kept)
    need = int(facts.size_bytes * SPACE_FACTOR)
    refusals = [
        *_common_refusals(target, need, facts.kind),
        *_missing_extensions(facts.extensions, target.offers),
        *_not_ours(manifest, target, from_stack),
    ]
    if manifest.codec not in target.offers.codecs and facts.kind == "postgresql":
        refusals.append(
            f"pg_restore there cannot read {manifest.codec}, which the archive is compressed with: "
            "restore it on Docker, or where PostgreSQL's programs know it"
        )
    if manifest.encryption is not None and not can_decrypt:
        refusals.append(f"the archive is encrypted with {manifest.encryption}: set OPS_BACKUP_IDENTITY_FILE to its key")
    return replace(
        _empty_plan(target),
        source="backup",
        backup_id=manifest.id,
        file=path or manifest.archive,
        format=manifest.format,
        archive_size_bytes=manifest.size_bytes,
        sha256=manifest.sha256,
        taken_at=manifest.started_at,
        earlier_s=(asked_at - manifest.started_at).total_seconds() if asked_at else 0.0,
        origin=f"stack {manifest.stack}, database {facts.name} on {facts.server_version}",
        rows=sum(table.row_count for table in manifest.tables),
        revisions=manifest.revisions,
        upgrades=upgrades,
        is_revision_kept=is_revision_kept,
        need_bytes=need,
        refusals=tuple(refusals),
        conflict=conflict,
        warnings=_warnings(manifest, target),
    )


def plan_for_file(file: ForeignFile, target: Target, *, is_revision_kept: bool = False) -> RestorePlan:
    """The plan for a foreign file."""
    inspection = file.inspection
    kind: DatabaseKind = "sqlite" if file.format == "sqlite" else "postgresql"
    factor = {"plain": PLAIN_FACTOR, "sqlite": SPACE_FACTOR}.get(file.format, PACKED_FACTOR)
    need = int(inspection.plain_size_bytes * factor)
    least = int(inspection.plain_size_bytes * SPACE_FACTOR)
    warnings = list(inspection.warnings)
    if target.free_bytes is not None and least <= target.free_bytes < need:
        warnings.append(f"it may need {human_size(need)}, and {human_size(target.free_bytes)} are free: watch the disk")
    return replace(
        _empty_plan(target),
        source="foreign",
        file=file.path,
        format=file.format,
        compression=file.compression,
        archive_size_bytes=file.size_bytes,
        origin=f"a server {inspection.server_version}" if inspection.server_version else "unknown",
        is_revision_kept=is_revision_kept,
        need_bytes=need,
        refusals=(
            *_common_refusals(target, least, kind),
            *inspection.refusals,
            *_missing_extensions(inspection.extensions, target.offers),
        ),
        warnings=(*warnings, "a file without a manifest: nothing tells whether rows are missing"),
    )


def with_refusal(plan: RestorePlan, *reasons: str) -> RestorePlan:
    """The same plan with further reasons against it."""
    return replace(plan, refusals=(*plan.refusals, *reasons))


def _empty_plan(target: Target) -> RestorePlan:
    """What the target alone decides."""
    live, id = target.database, target.change_id
    keeps = not target.as_name and target.live is not None
    return RestorePlan(
        change_id=id,
        kind=target.kind,
        undoes=target.undoes,
        stack=target.stack,
        database=live,
        database_kind=target.offers.kind,
        is_live_there=target.live is not None,
        live_size_bytes=target.live.size_bytes if target.live else 0,
        scratch=target.as_name or copy_name(live, "scratch", id),
        target=target.as_name or live,
        kept=copy_name(live, "recovery-point", id) if keeps else "",
        kept_until=target.kept_until if keeps or target.as_name else None,
        free_bytes=target.free_bytes,
    )


def _common_refusals(target: Target, need: int, kind: DatabaseKind) -> list[str]:
    found = []
    if kind != target.offers.kind:
        found.append(f"it holds a {kind} database, {target.database} is {target.offers.kind}: inv transfer moves data")
    if target.free_bytes is not None and need > target.free_bytes:
        found.append(_no_room(need, target.free_bytes))
    if not target.as_name:
        found += [f"{blocker}: a swap would cut it off" for blocker in target.blockers]
    if target.as_name == target.database or target.as_name in target.taken_names:
        found.append(f"a database {target.as_name} is there already")
    if len(target.as_name.encode()) > LONGEST_BYTES:
        found.append(f"the name {target.as_name} is longer than {LONGEST_BYTES} bytes")
    return found


def _no_room(need: int, free: int) -> str:
    return f"it needs {human_size(need)} beside the live database, and {human_size(free)} are free: inv prune --copies"


def _missing_extensions(wanted: Iterable[str], offers: ServerOffers) -> list[str]:
    missing = sorted(set(wanted) - offers.extensions) if offers.kind == "postgresql" else []
    return [f"the server cannot install the extension {name}" for name in missing]


def _not_ours(manifest: Manifest, target: Target, from_stack: str) -> list[str]:
    if from_stack:
        is_named = manifest.stack == from_stack
        return [] if is_named else [f"it is a backup of stack {manifest.stack}, not of {from_stack}"]
    if manifest.stack == target.stack:
        return []
    return [
        f"it is a backup of stack {manifest.stack}, this is {target.stack} (--from-stack {manifest.stack} allows it)"
    ]


def _upgrades(current: Sequence[str], history: History | None, *, is_kept: bool) -> tuple[tuple[str, ...], str]:
    """The revisions to apply, and why they cannot be."""
    if history is None or is_kept or not current:
        return (), ""
    unknown = [name for name in current if history.find(name) is None]
    if unknown:
        return (), f"its revision {', '.join(unknown)} is not in this checkout's history"
    if len(history.heads) > 1:
        return (), f"the schema history has {len(history.heads)} heads: {', '.join(history.heads)}"
    return tuple(revision.id for revision in history.pending(current)), ""


def _warnings(manifest: Manifest, target: Target) -> tuple[str, ...]:
    facts = manifest.database
    found = [f"the backup looks wrong: {why}" for why in manifest.suspicious if not manifest.acknowledged]
    if facts.server_major > target.offers.server_major and facts.kind == "postgresql":
        found.append(f"it comes from PostgreSQL {facts.server_version}, this is {target.offers.server_version}")
    if target.live is not None and target.live.encoding != facts.encoding:
        found.append(f"its encoding is {facts.encoding}, the new database's {target.live.encoding}")
    if not manifest.revisions:
        found.append("it holds no revision: its schema stays as it is")
    return tuple(found)
