r"""May a plain SQL dump that is not ours be loaded, and which of its statements are left out?

The role that loads it has no rights beyond its scratch database; what is refused here is refused to tell a person
at once, by name and line, and not as the only line of defence. There is no psql in the way: its commands
(`\!`, `\copy`) have nobody to run them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ops.adapters.archive_probe import plain_blocks
from ops.adapters.postgres.archive_contents import trust_warning
from ops.adapters.postgres.cluster_dump import HEADER, cluster_refusal
from ops.adapters.postgres.own_database import OwnDatabase
from ops.adapters.postgres.plain_sql import Command, CopyData, CutShort, Piece, PlainSqlReader, Statement, follows
from ops.errors import ArchiveCorrupt
from ops.model.database import Inspection
from ops.ports import LoadSource, Reporter

_HARMLESS = frozenset({"\\restrict", "\\unrestrict"})
_CLUSTER_WIDE = frozenset({"database", "role", "user", "group", "tablespace", "subscription"})
_HEADER = re.compile(rb"^-- Dumped from database version (\d+(?:\.\d+)?)", re.MULTILINE)
_TRAILER = b"-- PostgreSQL database dump complete"
_EXTENSION = re.compile(rb'EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?"?([A-Za-z0-9_-]+)', re.IGNORECASE)
_SHOWN = 5


def pieces(source: LoadSource) -> Iterator[Piece]:
    """The pieces of a plain SQL file, read once from its begin to its end. Raises: ArchiveCorrupt."""
    reader = PlainSqlReader()
    for block in plain_blocks(source.path, source.compression):
        yield from reader.feed(block)
    yield from reader.close()


def inspect_plain(source: LoadSource, report: Reporter, *, live: str = "") -> Inspection:
    """Read a plain SQL file through to its end; `live` is the database that it is meant for.

    Raises: ArchiveCorrupt (cut short, no SQL), RestoreRefused (of a whole server).
    """
    found = _Findings()
    reader = PlainSqlReader()
    head = tail = b""
    size_bytes = 0
    for block in plain_blocks(source.path, source.compression):
        size_bytes += len(block)
        head = head if len(head) > 4096 else head + block[:8192]
        tail = (tail + block)[-4096:]
        for piece in reader.feed(block):
            found.look_at(piece)
        report.progress("inspect", size_bytes, None)
    for piece in reader.close():
        found.look_at(piece)
    found.end()
    if found.cut is None and b"-- PostgreSQL database dump" in head and _TRAILER not in tail:
        found.cut = f"the last line of pg_dump ({_TRAILER.decode()}) is missing"
    if found.cut:
        raise ArchiveCorrupt(f"{source.path.name} is cut short", cause=found.cut, hint="take the dump again")
    if HEADER in head:
        raise cluster_refusal(source, live)
    if not found.statements:
        raise ArchiveCorrupt(f"{source.path.name} holds no SQL statement", cause="it is text of another kind")
    version = _HEADER.search(head)
    return Inspection(
        plain_size_bytes=size_bytes,
        refusals=tuple(found.refusals),
        warnings=found.warnings(),
        extensions=tuple(sorted(found.extensions)),
        server_version=version.group(1).decode() if version else "",
    )


def refusal(piece: Piece) -> str | None:
    """Why a piece must not be loaded; None for all others."""
    if isinstance(piece, Command) and piece.name not in _HARMLESS:
        return f"line {piece.line}: the psql command {piece.name}"
    if isinstance(piece, Statement) and (what := _forbidden(piece.words)):
        return f"line {piece.line}: {what}"
    return None


def _forbidden(words: tuple[str, ...]) -> str | None:
    if words[:1] == ("copy",):
        if follows(words, "from", "program") or follows(words, "to", "program"):
            return "COPY runs a program"
        if follows(words, "from", "") or follows(words, "to", ""):
            return "COPY reads or writes a file of the server"
    if words[:1] in {("create",), ("alter",), ("drop",)} and words[1:2] and words[1] in _CLUSTER_WIDE:
        return f"{words[0].upper()} {words[1].upper()} reaches beyond one database"
    return None


def leaves_out(statement: Statement, server_major: int) -> str | None:
    """What a statement is about that is not carried out for a foreign file; None for all others."""
    words = statement.words
    reason = None
    if words[:1] == ("alter",) and follows(words, "owner", "to"):
        reason = "owners"
    elif words[:1] in {("grant",), ("revoke",)} or words[:3] == ("alter", "default", "privileges"):
        reason = "grants"
    elif words[:3] == ("comment", "on", "extension"):
        reason = "comments on extensions"
    elif words[:3] == ("set", "session", "authorization") or words[:2] == ("set", "role"):
        reason = "changes of the role"
    elif words[:3] == ("create", "schema", "public") and len(words) == 3:
        reason = "the schema public, which is there"
    elif words[:2] == ("set", "transaction_timeout") and server_major < 17:
        reason = "transaction_timeout, which this server does not know"
    return reason


@dataclass(slots=True)
class _Findings:
    """What a reading of the whole file brought up."""

    statements: int = 0
    refusals: list[str] = field(default_factory=list)
    extensions: set[str] = field(default_factory=set)
    cut: str | None = None
    programs: int = 0
    own_database: OwnDatabase = field(default_factory=OwnDatabase)

    def look_at(self, piece: Piece) -> None:
        if self.own_database.takes(piece):
            return
        if isinstance(piece, CutShort):
            self.cut = f"it ends inside {piece.inside} that begins in line {piece.line}"
        elif not isinstance(piece, CopyData):
            self._look_at_line(piece)

    def _look_at_line(self, piece: Statement | Command) -> None:
        self._refuse(refusal(piece))
        if isinstance(piece, Command):
            return
        self.statements += 1
        if piece.words[:2] == ("create", "extension") and (name := _EXTENSION.search(piece.text)):
            self.extensions.add(name.group(1).decode())
        if piece.words[:1] == ("create",) and {"function", "procedure", "trigger"} & set(piece.words[1:4]):
            self.programs += 1

    def end(self) -> None:
        if stray := self.own_database.stray:
            self._refuse(refusal(stray))

    def _refuse(self, why: str | None) -> None:
        if why and len(self.refusals) < _SHOWN:
            self.refusals.append(why)

    def warnings(self) -> tuple[str, ...]:
        return trust_warning(self.programs)
