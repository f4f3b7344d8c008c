"""What surrounds a change that fills a scratch database and lets it take the live one's place?

Each step is timed and ends in a checkpoint; the journal has a line before the first and one after the last, so that a
kill leaves `started` without an end; a failure drops the scratch database, and what cannot be dropped now is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from ops.errors import DeadlinePassed, LoadFailed, OpsError
from ops.model.change import Change, RecoveryPoint
from ops.ports import Clock, Database, Journal, Reporter


@dataclass(frozen=True, slots=True)
class ScratchChange:
    """One such change.

    Args:
        scratch: the scratch database's name.
        kept: what the live one is called once it has given way; empty where nothing is kept.
        database: the live one and its server.
        journal: the stack's.
        clock: times the steps.
        report: warnings.
        checkpoint: hears the name of each finished step, so that a test can stop there.
        is_done: whether the change has come to stand, so that a failure afterwards undoes nothing.
        kept_until: until when the old database, or a copy that was asked for, is kept; None: until it is dropped.
        steps_s: the finished steps and how long each took.
    """

    scratch: str
    kept: str
    database: Database
    journal: Journal
    clock: Clock
    report: Reporter
    checkpoint: Callable[[str], None]
    is_done: Callable[[], bool]
    kept_until: datetime | None = None
    steps_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step; one that fails has no time."""
        began = self.clock.monotonic()
        yield
        self.steps_s[name] = round(self.clock.monotonic() - began, 3)
        self.checkpoint(name)

    @contextmanager
    def recorded(self, started: Change, to_revisions: Callable[[], tuple[str, ...]]) -> Iterator[None]:
        """Write `started` to the journal, and what became of it; `to_revisions` is asked once it stands.

        Raises: LoadFailed for a step that stalled while the live database was as it was.
        """
        self.journal.append(started)
        self.checkpoint("journal")
        try:
            with self._stall_named():
                yield
        except BaseException as exc:
            said = exc.message if isinstance(exc, OpsError) else repr(exc)
            failed = replace(started, state="failed", at=self.clock.now(), details={**started.details, "error": said})
            self.journal.append(self._finished(started, to_revisions()) if self.is_done() else failed)
            raise
        self.journal.append(self._finished(started, to_revisions()))
        self.checkpoint("finished")

    @contextmanager
    def _stall_named(self) -> Iterator[None]:
        try:
            yield
        except DeadlinePassed as exc:
            if self.is_done():
                raise
            raise LoadFailed(f"{exc.message}; the live database is as it was", cause=exc.cause, hint=exc.hint) from exc

    @contextmanager
    def dropped_on_failure(self) -> Iterator[None]:
        """Leave no scratch database where the change does not come to stand."""
        try:
            yield
        except BaseException:
            if not self.is_done():
                self.drop_scratch()
            raise

    def drop_scratch(self) -> None:
        """Drop the scratch database where it is there; where it cannot be dropped, say that the next change will."""
        try:
            if any(copy.name == self.scratch for copy in self.database.copies()):
                self.database.drop_copy(self.scratch)
        except OpsError as exc:
            self.report.warn(f"{self.scratch} is left, the next change drops it: {exc.message}")

    def _finished(self, started: Change, to_revisions: tuple[str, ...]) -> Change:
        return replace(
            started,
            state="finished",
            at=self.clock.now(),
            to_revisions=to_revisions,
            recovery=RecoveryPoint("database", self.kept) if self.kept else None,
            details={**started.details, **self._expiry(), **{f"{name}_s": s for name, s in self.steps_s.items()}},
        )

    def _expiry(self) -> dict[str, str]:
        return {} if self.kept_until is None else {"expires_at": self.kept_until.isoformat()}
