"""How are a database's contents replaced from a backup without ever risking the live database?

Everything is loaded into a new database beside the live one, compared, brought to the head revision and checked;
only then the two change names. Whatever fails or dies before leaves the live database as it was, and what it leaves
lying is dropped by the next change. The old database is kept as the recovery point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ops.actions.clean_leftovers import clean_leftovers, drop_expired
from ops.actions.restore_run import RestoreRun
from ops.actions.restore_tools import RestoreTools
from ops.errors import BackupNotFound, ConfigurationError
from ops.model.backup_id import is_id, new_id
from ops.model.change import ChangeKind
from ops.model.manifest import DatabaseIdentity, Manifest, is_of
from ops.model.restore_plan import ForeignFile, RestorePlan, Target, plan_for_backup, plan_for_file
from ops.model.restore_report import RestoreReport
from ops.model.retention import is_good
from ops.ports import Reporter

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which backup, and where to: exactly one of `file`, `is_latest` and `at` is given."""

    file: str = ""
    """A backup's id, its archive's or manifest's path, or a foreign file."""
    is_latest: bool = False
    at: datetime | None = None
    as_name: str = ""
    """Load into a database of this name beside the live one, and swap nothing."""
    is_revision_kept: bool = False
    from_stack: str = ""


def plan_restore(
    request: RestoreRequest,
    tools: RestoreTools,
    *,
    kind: ChangeKind = "restore",
    undoes: str = "",
    found: tuple[Manifest, Path] | None = None,
) -> RestorePlan:
    """What a restore would do now; changes nothing. What forbids it is in the plan: `plan.refuse()` raises it.

    Args:
        request: what a person asked for.
        tools: what it works with.
        kind: `rollback` where a rollback goes back to a recovery point's backup.
        undoes: the change that such a rollback undoes.
        found: the backup that the request means and where its archive will lie, where it was looked for elsewhere.

    Raises: ConfigurationError (not exactly one source named), BackupNotFound, ManifestInvalid, RestoreRefused (a
        file that is no dump), ArchiveCorrupt (a foreign file that does not read to its end), DatabaseRefused.
    """
    if (bool(request.file) + request.is_latest + (request.at is not None)) != 1:
        raise ConfigurationError(
            "a restore needs exactly one source",
            cause="--file, --latest and --at exclude one another",
            hint="inv restore --latest",
        )
    found_here = found or find_source(request, tools)
    target = _target(request, tools, kind, undoes)
    if isinstance(found_here, Path):
        source = tools.files.probe(found_here)
        inspection = tools.database.inspect(source, tools.report)
        size_bytes, _ = tools.files.digest(found_here, tools.report)
        foreign = ForeignFile(str(found_here), source.format, source.compression, size_bytes, inspection)
        return plan_for_file(foreign, target, is_revision_kept=request.is_revision_kept)
    manifest, path = found_here
    return plan_for_backup(
        manifest,
        target,
        path=str(path),
        history=tools.migrator.history() if tools.migrator is not None else None,
        is_revision_kept=request.is_revision_kept,
        from_stack=request.from_stack,
        asked_at=request.at,
        can_decrypt=tools.sealing is not None and tools.sealing.can_decrypt,
    )


def restore(plan: RestorePlan, tools: RestoreTools, *, lock_wait_s: float = 0.0) -> RestoreReport:
    """Carry out a plan.

    Raises: LockHeld; RestoreRefused, RevisionConflict (the plan forbids it, or what it was made from has changed);
        ArchiveCorrupt, LoadFailed, DataDiffers, UpgradeFailed - all of them with the live database as it was.
    """
    plan.refuse()
    began = tools.clock.monotonic()
    with tools.lock.acquire(plan.kind, wait_s=lock_wait_s):
        left = max(0.0, lock_wait_s - (tools.clock.monotonic() - began))
        with tools.database.exclusive(plan.kind, wait_s=left):
            return carry_out(plan, tools)


def carry_out(plan: RestorePlan, tools: RestoreTools) -> RestoreReport:
    """Carry out a plan; the caller holds both locks. Raises as `restore` does."""
    began = tools.clock.monotonic()
    cleaned = clean_leftovers(database=tools.database, journal=tools.journal, clock=tools.clock, report=tools.report)
    run = RestoreRun(plan, tools)
    run.check()
    report = run.carry_out()
    drop_expired(database=tools.database, now=tools.clock.now(), report=tools.report)
    report = replace(report, cleaned=cleaned, total_s=round(tools.clock.monotonic() - began, 3))
    tools.report.finished(
        f"{plan.kind}.finished",
        id=plan.change_id,
        source=report.source,
        database=report.database,
        rows=report.rows,
        away_s=report.away_s,
        duration_s=report.total_s,
    )
    return report


def find_source(request: RestoreRequest, tools: RestoreTools) -> tuple[Manifest, Path] | Path:
    """The backup that is meant with its archive's path, or a foreign file's path."""
    catalog = tools.catalog_of(request.from_stack) if request.from_stack else tools.archives
    if not request.file:
        manifest = newest_good(
            request,
            catalog.manifests(),
            catalog.damaged(),
            tools.clock.now(),
            tools.report,
            live=whose(request, tools.identity or DatabaseIdentity("", tools.database.offers().kind, "")),
        )
        return manifest, catalog.path(manifest)
    if is_id(request.file):
        manifest = catalog.find(request.file)
        return manifest, catalog.path(manifest)
    path = Path(request.file).absolute()
    beside = tools.files.manifest_beside(path)
    return path if beside is None else (beside, path.with_name(beside.archive))


def newest_good(
    request: RestoreRequest,
    manifests: Sequence[Manifest],
    damaged: Sequence[tuple[str, str]],
    now: datetime,
    report: Reporter,
    *,
    live: DatabaseIdentity | None = None,
    source: str = "",
) -> Manifest:
    """The newest good backup, or the newest good one at or before the time asked for; says which it passes over.

    Only backups of the live database are looked at (None: all): a stack that moved from SQLite has some of both, and
    one folder may hold those of development and of production. `source`: the off-site target they are in.

    Raises: BackupNotFound, naming those that do not count.
    """
    limit = now if request.at is None else request.at
    fitting = [item for item in manifests if item.started_at <= limit]
    good = [item for item in fitting if is_of(item, live) and is_good(item)]
    if not good:
        raise _none_good(request, fitting, damaged, live=live, source=source)
    newest = max(good, key=lambda manifest: manifest.started_at)
    for warning in _passed_over([item for item in fitting if item.started_at > newest.started_at], live):
        report.warn(warning)
    if others := {str(item.identity) for item in good if item.identity != newest.identity}:
        report.warn(
            f"{newest.id} is of {newest.identity}; there are good backups of {', '.join(sorted(others))} too: "
            "name one with --file to take that"
        )
    return newest


def _passed_over(newer: Sequence[Manifest], live: DatabaseIdentity | None) -> Iterator[str]:
    """Why each of the backups that are newer than the chosen one is not taken."""
    strangers = [f"{item.id} of {item.identity}" for item in newer if not is_of(item, live)]
    if strangers:
        more = f" and {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else ""
        yield f"passing over {', '.join(strangers[:_SHOWN])}{more}: newer, but of another database than {live}"
    for item in newer:
        if is_of(item, live):
            why = item.suspicious[0] if item.suspicious else "it was never verified"
            yield f"passing over {item.id}, which is newer: {why}; name it with --file to take it all the same"


def _none_good(
    request: RestoreRequest,
    fitting: Sequence[Manifest],
    damaged: Sequence[tuple[str, str]],
    *,
    live: DatabaseIdentity | None,
    source: str,
) -> BackupNotFound:
    when = f" at or before {request.at.isoformat()}" if request.at else ""
    bad = [item.id for item in fitting if is_of(item, live)] + [backup_id for backup_id, _ in damaged]
    strange = [item for item in fitting if not is_of(item, live)]
    causes = [f"these do not count: {', '.join(bad)}"] if bad else []
    causes += [f"{item.id} is of {item.identity}" for item in strange[:_SHOWN]]
    return BackupNotFound(
        f"there is no good backup{f' of {live}' if live else ''}{when}",
        cause="; ".join(causes) or "the catalog has none",
        hint=_instead(request, [] if bad or live is None else strange, live.kind if live else "", source),
    )


def _instead(request: RestoreRequest, strange: Sequence[Manifest], kind: str, source: str) -> str:
    """The newest good backup of another database that could be restored here, else a look at what there is."""
    fitting = (item for item in strange if item.database.kind == kind and is_good(item))
    other = max(fitting, key=lambda item: item.started_at, default=None)
    if other is None:
        return f"inv verify --from {source} --all" if source else "inv backups; inv verify --all"
    return " ".join(["inv restore", *catalog_words(request, source), "--file", other.id, "--dry-run"])


def catalog_words(request: RestoreRequest, source: str) -> list[str]:
    """The arguments that name the catalog of a request; `source`: the off-site target it is in, "" for none."""
    named = {"--from": source, "--from-stack": request.from_stack}
    return [word for option, value in named.items() if value for word in (option, value)]


def whose(request: RestoreRequest, live: DatabaseIdentity) -> DatabaseIdentity:
    """Whose backups are meant: the live database's; of another stack, any of its kind."""
    return live._replace(environment="", name="") if request.from_stack else live


def _target(request: RestoreRequest, tools: RestoreTools, kind: ChangeKind, undoes: str) -> Target:
    database, now = tools.database, tools.clock.now()
    taken = {change.id for change in tools.journal.changes()} | {copy.change_id for copy in database.copies()}
    is_name_taken = bool(request.as_name) and database.exists(request.as_name)
    return Target(
        change_id=new_id(now, taken),
        stack=tools.stack,
        live=database.facts() if database.exists() else None,
        database=tools.live,
        offers=database.offers(),
        free_bytes=database.free_space_bytes(),
        blockers=database.swap_blockers(),
        as_name=request.as_name,
        taken_names=frozenset({request.as_name}) if is_name_taken else frozenset(),
        kept_until=now + timedelta(days=tools.keep_days),
        kind=kind,
        undoes=undoes,
    )
