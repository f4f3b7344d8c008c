"""What did a killed change leave behind, and which recovery points have had their time?

Both run under the stack's lock and the database's: whoever holds them knows that no scratch copy has a living maker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ops.errors import OpsError
from ops.model.change import Change, ChangeKind, RecoveryPoint, unfinished
from ops.model.database import DatabaseCopy
from ops.ports import Clock, Database, Journal, Reporter

EXCLUSIVE_KINDS: frozenset[ChangeKind] = frozenset({"migrate", "restore", "transfer", "rollback", "deploy"})
"""Changes that hold both locks: under them, one without an end was killed."""


def clean_leftovers(*, database: Database, journal: Journal, clock: Clock, report: Reporter) -> tuple[str, ...]:
    """End programs, drop scratch copies and write the missing ends into the journal; the caller holds both locks.

    Returns: what was cleaned, one sentence each. A second run finds nothing.
    """
    ended = reap(database, report)
    cleaned = []
    copies = database.copies()
    for copy in copies:
        if copy.role == "scratch":
            database.drop_copy(copy.name)
            cleaned.append(f"dropped {copy.name}, left by a {copy.change} that was interrupted")
    for end in ends_of_interrupted(journal.changes(), copies, clock.now()):
        journal.append(end)
        cleaned.append(f"the {end.kind} of {end.id} by {end.by} was interrupted")
    for text in cleaned:
        report.note(text)
    return (*ended, *cleaned)


def reap(database: Database, report: Reporter) -> tuple[str, ...]:
    """End programs and remove files next to the server that killed runs left; one sentence each, told too."""
    found = tuple(f"ended or removed {left}, left by a run that was killed" for left in database.reap())
    for text in found:
        report.note(text)
    return found


def ends_of_interrupted(changes: Sequence[Change], copies: Sequence[DatabaseCopy], now: datetime) -> tuple[Change, ...]:
    """The missing ends of changes that nobody is making any more."""
    return tuple(_end_of(change, copies, now) for change in unfinished(changes) if change.kind in EXCLUSIVE_KINDS)


def _end_of(change: Change, copies: Sequence[DatabaseCopy], now: datetime) -> Change:
    """How an interrupted change ended. The server knows: a recovery point of its own says that the swap was done.

    How far a migrate came is unknown here (`is_unknown`): the version table knows.
    """
    kept = next((copy for copy in copies if copy.role == "recovery-point" and copy.change_id == change.id), None)
    if kept is None:
        details = {**change.details, "error": "interrupted", "is_unknown": True}
        return replace(change, state="failed", at=now, details=details)
    return replace(
        change,
        state="finished",
        at=now,
        recovery=RecoveryPoint("database", kept.name),
        details={**change.details, "note": "interrupted after the swap"},
    )


def drop_expired(*, database: Database, now: datetime, report: Reporter) -> tuple[str, ...]:
    """Drop recovery points and `--as` copies whose time is over; what cannot be dropped is left for the next time.

    The caller holds both locks.
    """
    dropped = []
    for copy in database.copies():
        if copy.role != "scratch" and copy.expires_at is not None and copy.expires_at <= now:
            what = "recovery point" if copy.role == "recovery-point" else "copy"
            try:
                database.drop_copy(copy.name)
            except OpsError as exc:
                report.warn(f"the expired {what} {copy.name} stays: {exc.message} ({exc.cause})")
            else:
                dropped.append(copy.name)
                report.note(f"dropped the {what} {copy.name}, expired {copy.expires_at.isoformat()}")
    return tuple(dropped)
