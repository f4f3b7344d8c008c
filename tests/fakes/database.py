"""A database server in memory: each database is its tables, each table a list of rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ops.errors import ArchiveCorrupt, DatabaseRefused, LoadFailed, LockHeld, OpsError, Refused, RestoreRefused
from ops.model.database import DatabaseCopy, DatabaseFacts, Inspection, Role, ServerOffers, TableSummary
from ops.ports import Dump, LoadSource, Reporter
from tests.fakes.manifests import FACTS

Tables = dict[str, list[str]]


class FakeDatabase:
    """`tables_of` holds every database; `log` lists what was done; `dump_error` is raised halfway through a dump;
    `left` is what killed runs left next to the server."""

    def __init__(self, tables: Tables | None = None, *, facts: DatabaseFacts = FACTS, held_by: str = "") -> None:
        self.base = facts
        self.tables_of: dict[str, Tables] = {facts.name: tables or {"public.users": ["a", "b"]}}
        self.revision: tuple[str, ...] = ("0002",)
        self.held_by = held_by
        self.is_locked = False
        self.log: list[str] = []
        self.dump_error: OpsError | None = None
        self.decodes = True
        self.blockers: tuple[str, ...] = ()
        self.room: int | None = 10**9
        self.left: tuple[str, ...] = ()
        self.reaps = 0
        self._copies: dict[str, DatabaseCopy] = {}

    @property
    def live(self) -> str:
        return self.base.name

    def facts(self, name: str | None = None) -> DatabaseFacts:
        self._tables(name)
        return replace(self.base, name=name or self.live)

    def tables(self, name: str | None = None) -> tuple[TableSummary, ...]:
        return tuple(
            TableSummary(table, len(rows), hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:32])
            for table, rows in sorted(self._tables(name).items())
        )

    def revisions(self, name: str | None = None) -> tuple[str, ...]:
        self._tables(name)
        return self.revision

    def version_tables(self) -> tuple[str, ...]:
        return ("public.alembic_version",)

    def exists(self, name: str | None = None) -> bool:
        return (name or self.live) in self.tables_of

    def offers(self) -> ServerOffers:
        return ServerOffers(self.base.kind, self.base.server_version, self.base.server_major)

    def inspect(self, source: LoadSource, report: Reporter) -> Inspection:
        return Inspection(source.path.stat().st_size)

    def dump(
        self, write: Callable[[bytes], None], *, report: Reporter, lock_wait_s: float, idle_timeout_s: float
    ) -> Dump:
        content = json.dumps(self._tables(None)).encode()
        write(content[: len(content) // 2])
        if self.dump_error is not None:
            raise self.dump_error
        write(content[len(content) // 2 :])
        self.log.append("dump")
        return Dump(self.facts(), self.tables(), self.revision, "17.11", "custom", "zstd", 1.5, 0.5)

    def decode(self, archive: Path) -> None:
        try:
            json.loads(archive.read_bytes())
        except ValueError as exc:
            raise ArchiveCorrupt(f"{archive.name} does not decode", cause=str(exc)) from exc
        if not self.decodes:
            raise ArchiveCorrupt(f"{archive.name} does not decode", cause="could not read from input file")
        self.log.append("decode")

    def restore_by_hand(self, archive_name: str) -> str:
        return f"pg_restore {archive_name}"

    def create_copy(self, copy: DatabaseCopy, like: DatabaseFacts) -> None:
        if copy.name in self.tables_of:
            raise RestoreRefused(f"{copy.name} is there already")
        self.tables_of[copy.name] = {}
        self._copies[copy.name] = copy

    def ensure_roles(self, roles: Sequence[Role]) -> tuple[str, ...]:
        return ()

    def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:
        try:
            self.tables_of[name] = json.loads(source.path.read_bytes())
        except ValueError as exc:
            raise LoadFailed(f"{source.path.name} could not be loaded", cause=str(exc)) from exc

    def carry_over(self, name: str, facts: DatabaseFacts) -> tuple[str, ...]:
        return ()

    def analyze(self, name: str) -> None:
        self._tables(name)

    def integrity_problems(self, name: str) -> tuple[str, ...]:
        self._tables(name)
        return ()

    def invalid_indexes(self) -> tuple[str, ...]:
        return ()

    def drop_invalid_index(self, name: str, *, lock_timeout_s: float) -> bool:
        return False

    def swap(self, copy: str, kept: DatabaseCopy) -> float:
        new = self.tables_of.pop(copy)
        self._copies.pop(copy)
        if self.live in self.tables_of:
            self.tables_of[kept.name] = self.tables_of[self.live]
            self._copies[kept.name] = kept
        self.tables_of[self.live] = new
        self.log.append(f"swap {copy}")
        return 0.1

    def describe_copy(self, copy: DatabaseCopy) -> None:
        self._tables(copy.name)
        self._copies[copy.name] = copy

    def copies(self) -> tuple[DatabaseCopy, ...]:
        return tuple(sorted(self._copies.values(), key=lambda copy: copy.created_at))

    def drop_copy(self, name: str) -> None:
        if name in self.tables_of and name not in self._copies:
            raise Refused(f"{name} is not dropped: we did not make it")
        self.tables_of.pop(name, None)
        self._copies.pop(name, None)

    def swap_blockers(self) -> tuple[str, ...]:
        return self.blockers

    def free_space_bytes(self) -> int | None:
        return self.room

    def reap(self) -> tuple[str, ...]:
        self.reaps += 1
        found, self.left = self.left, ()
        return found

    @contextlib.contextmanager
    def exclusive(self, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
        if self.held_by:
            raise LockHeld(f"{what} cannot start", cause=f"{self.held_by} holds the database's lock")
        self.is_locked = True
        try:
            yield
        finally:
            self.is_locked = False

    def _tables(self, name: str | None) -> Tables:
        wanted = name or self.live
        if wanted not in self.tables_of:
            raise DatabaseRefused(f"there is no database {wanted}")
        return self.tables_of[wanted]
