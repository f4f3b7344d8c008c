r"""Which pieces of an SQL dump only make the dump's own database and enter it?

`pg_dump --create` begins with `CREATE DATABASE` and `\connect`, before any content. We load into a database of our
own, so these are passed over - at the beginning, for one database, which pg_dump enters a second time where it has
settings of its own. Anywhere else they are what they seem: a reach beyond one database.

Source: pg_dump's `_reconnectToDB` and `dumpDatabase` (PostgreSQL 15 to 18).
"""

from __future__ import annotations

from dataclasses import dataclass

from ops.adapters.postgres.plain_sql import Command, CopyData, Piece, Statement, follows

_MAKING = frozenset({"create", "alter", "drop"})
_ENTERING = frozenset({"\\connect", "\\c", "\\encoding"})
_QUIET = frozenset({"\\restrict", "\\unrestrict"})


@dataclass(slots=True)
class OwnDatabase:
    """Follows one dump, from its first piece on."""

    stray: Statement | None = None
    """The first statement that was taken, as long as the dump has not entered what it made."""
    _is_made: bool = False
    _entered_by: str = ""
    _has_content: bool = False

    def takes(self, piece: Piece) -> bool:
        """Whether this piece is about the making of the dump's own database; call it once for each, in order."""
        if isinstance(piece, Statement):
            return self._takes_statement(piece, piece.words)
        if isinstance(piece, Command) and piece.name not in _QUIET:
            return self._takes_command(piece)
        self._has_content |= isinstance(piece, CopyData)
        return False

    def _takes_statement(self, statement: Statement, words: tuple[str, ...]) -> bool:
        is_about_it = words[:1] and words[0] in _MAKING and words[1:2] == ("database",)
        if is_about_it and not self._has_content and not self._entered_by:
            self._is_made |= words[0] == "create"
            self.stray = self.stray or statement
            return True
        if (self._entered_by and _sets_it(words)) or (self._is_made and words[:3] == ("comment", "on", "database")):
            return True
        self._has_content |= words[:1] != ("set",) and "set_config" not in words
        return False

    def _takes_command(self, command: Command) -> bool:
        if command.name not in _ENTERING or not self._is_made or self._has_content:
            return False
        if command.name == "\\encoding":
            return True
        if self._entered_by not in {"", command.text}:
            return False
        self._entered_by, self.stray = command.text, None
        return True


def _sets_it(words: tuple[str, ...]) -> bool:
    """`ALTER DATABASE name SET ...` and `ALTER ROLE name IN DATABASE name SET ...`."""
    return words[:2] == ("alter", "database") or (words[:2] == ("alter", "role") and follows(words, "in", "database"))
