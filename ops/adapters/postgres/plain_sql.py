"""Where does each statement of an SQL dump end, what is COPY data, and what is a command to psql?

A push reader: bytes go in as they come, pieces come out. It lexes as psql does (Source: psqlscan.l): quotes, dollar
quotes, nested comments, parentheses, SQL-standard function bodies - so that text inside COPY data or a string is
never taken for a command, nor a command for text. Nothing here runs anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_IDENT = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*"
_TOKEN = re.compile(
    rb"(?P<space>(?:\s+|--[^\n]*(?:\n|\Z))+)"
    rb"|(?P<block>/\*)"
    rb"|(?P<estring>[eE]')"
    rb"|(?P<string>(?:[nNbBxX]|[uU]&)?')"
    rb"|(?P<quoted>(?:[uU]&)?\")"
    rb"|(?P<word>" + _IDENT + rb")"
    rb"|(?P<dollar>\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$)"
    rb"|(?P<halfdollar>\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\Z)"
    rb"|(?P<semicolon>;)|(?P<open>\()|(?P<close>\))|(?P<backslash>\\)"
    rb"|(?P<number>[0-9][0-9A-Za-z_.]*)"
    rb"|(?P<other>[^\s;'\"\\$()A-Za-z0-9_\x80-\xff/-]+|.)",
    re.DOTALL,
)
# Two faster ways through INSERTs, which most of a dump may consist of: inside parentheses words do not matter, and
# a plain INSERT is one match. Both leave alone whatever they do not fully know.
_VALUES = (
    rb"(?:[\s,]+|-?[0-9][0-9.]*(?![0-9A-Za-z_.$\x80-\xff])|(?:NULL|true|false|DEFAULT)(?![0-9A-Za-z_$'\"\x80-\xff])"
    rb"|'[^'\\]*(?:''[^'\\]*)*'(?!'))+"
)
_PLAIN_VALUES = re.compile(_VALUES)
_PLAIN_INSERT = re.compile(
    rb"INSERT INTO [a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?(?: \([a-z0-9_, ]*\))? VALUES \(" + _VALUES + rb"\);"
)
_REST_OF_STRING = re.compile(rb"[^']*(?:''[^']*)*'")
_REST_OF_ESCAPED = re.compile(rb"[^'\\]*(?:(?:''|\\.)[^'\\]*)*'", re.DOTALL)
_REST_OF_QUOTED = re.compile(rb'[^"]*(?:""[^"]*)*"')
_COMMENT_MARK = re.compile(rb"/\*|\*/")
_COPY_ENDS = (b"\\.\n", b"\\.\r\n")
_BOM = b"\xef\xbb\xbf"
_WORDS_KEPT = 400


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement, from its first token through its semicolon.

    `words` are its unquoted words outside parentheses, in lower case; `` where something else stands between two
    of them (a quoted name, a string), so that neighbours are real neighbours.
    """

    line: int
    text: bytes
    words: tuple[str, ...]

    @property
    def reads_stdin(self) -> bool:
        """Whether COPY data follows."""
        return self.words[:1] == ("copy",) and follows(self.words, "from", "stdin")


@dataclass(frozen=True, slots=True)
class Command:
    """A backslash command to psql, to the end of its line."""

    line: int
    text: str

    @property
    def name(self) -> str:
        r"""Such as `\restrict`."""
        found = re.match(r"\\(?:[A-Za-z_]+|.)?", self.text)
        return found.group() if found else self.text


@dataclass(frozen=True, slots=True)
class CopyData:
    """A block of COPY data, cut anywhere; `is_last` closes it."""

    block: bytes
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class CutShort:
    """The text ended inside something."""

    line: int
    inside: str


Piece = Statement | Command | CopyData | CutShort


def follows(words: tuple[str, ...], *wanted: str) -> bool:
    """Whether `wanted` stand beside one another, in this order, anywhere in `words`."""
    return any(words[index : index + len(wanted)] == wanted for index in range(len(words) - len(wanted) + 1))


@dataclass(slots=True)
class PlainSqlReader:
    """Cuts SQL text into pieces; `feed` it in order, then `close` it once."""

    _buffer: bytes = b""
    _from: int = 0
    _at: int = 0
    _line: int = 1
    _start: int = -1
    _words: list[str] = field(default_factory=list)
    _leading: list[str] = field(default_factory=list)
    _depth: int = 0
    _begin_depth: int = 0
    _in_copy: bool = False
    _expects_line_end: bool = False
    _is_first: bool = True

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that are complete with `data`."""
        if self._is_first and data:
            data, self._is_first = data.removeprefix(_BOM), False
        self._buffer = self._buffer[self._from :] + data
        self._at -= self._from
        self._start = max(-1, self._start - self._from)
        self._from = 0
        yield from self._pieces(is_end=False)

    def close(self) -> Iterator[Piece]:
        """What is left: a last statement without a semicolon, or `CutShort`."""
        yield from self._pieces(is_end=True)

    def _pieces(self, *, is_end: bool) -> Iterator[Piece]:
        while True:
            piece = self._copy_piece(is_end=is_end) if self._in_copy else self._sql_piece(is_end=is_end)
            if piece is None:
                return
            yield piece
            if isinstance(piece, CutShort):
                return

    def _copy_piece(self, *, is_end: bool) -> Piece | None:
        if self._expects_line_end:
            end = self._buffer.find(b"\n", self._at)
            if end < 0:
                return CutShort(self._line, "COPY data") if is_end else None
            self._expects_line_end = False
            self._forget(end + 1)
        ending = self._copy_end(is_end=is_end)
        if ending is not None:
            self._in_copy = False
            block = self._buffer[self._from : ending[0]]
            self._forget(ending[1])
            return CopyData(block, is_last=True)
        if is_end:
            return CutShort(self._line, "COPY data")
        end = self._buffer.rfind(b"\n", self._from) + 1
        if not end:
            return None
        block = self._buffer[self._from : end]
        self._forget(end)
        return CopyData(block)

    def _copy_end(self, *, is_end: bool) -> tuple[int, int] | None:
        r"""Where the line `\.` begins and ends; the buffer's `_from` is the beginning of a line."""
        begin = self._from
        while begin >= 0:
            if self._buffer.startswith(_COPY_ENDS, begin) or (is_end and self._buffer[begin:] in {b"\\.", b"\\.\r"}):
                newline = self._buffer.find(b"\n", begin)
                return begin, len(self._buffer) if newline < 0 else newline + 1
            found = self._buffer.find(b"\n\\.", begin)
            begin = found + 1 if found >= 0 else -1
        return None

    def _sql_piece(self, *, is_end: bool) -> Piece | None:
        while self._at < len(self._buffer):
            if self._start < 0 and (whole := _PLAIN_INSERT.match(self._buffer, self._at)):
                self._start, self._words = self._at, ["insert", "into"]
                return self._finish(whole.end())
            if self._depth and (run := _PLAIN_VALUES.match(self._buffer, self._at)) and run.end() < len(self._buffer):
                self._at = run.end()
            found = _TOKEN.match(self._buffer, self._at)
            if found is None or found.lastgroup is None:
                raise ValueError("the token pattern matches any byte")
            end = self._token_end(found)
            if end is None or (end == len(self._buffer) and not is_end and found.lastgroup != "semicolon"):
                if not is_end:
                    self._drop_leading_space()
                    return None
                return CutShort(self._line_at(self._at), _NAMES.get(found.lastgroup, found.lastgroup))
            piece = self._take(found.lastgroup, end)
            if piece is not None:
                return piece
        if is_end and self._start >= 0:
            return self._finish(len(self._buffer))
        self._drop_leading_space()
        return None

    def _token_end(self, found: re.Match[bytes]) -> int | None:
        """Where the token ends; None where its end has not come yet."""
        kind, end = found.lastgroup, found.end()
        rest: re.Match[bytes] | None
        if kind == "string":
            rest = _REST_OF_STRING.match(self._buffer, end)
        elif kind == "estring":
            rest = _REST_OF_ESCAPED.match(self._buffer, end)
        elif kind == "quoted":
            rest = _REST_OF_QUOTED.match(self._buffer, end)
        elif kind == "dollar":
            closing = self._buffer.find(found.group(), end)
            return None if closing < 0 else closing + len(found.group())
        elif kind == "block":
            return self._comment_end(end)
        elif kind == "backslash":
            newline = self._buffer.find(b"\n", end)
            return len(self._buffer) if newline < 0 else newline
        else:
            return end
        return rest.end() if rest else None

    def _comment_end(self, position: int) -> int | None:
        depth = 1
        for mark in _COMMENT_MARK.finditer(self._buffer, position):
            depth += 1 if mark.group() == b"/*" else -1
            if depth == 0:
                return mark.end()
        return None

    def _take(self, kind: str, end: int) -> Piece | None:
        begin, self._at = self._at, end
        if kind in {"space", "block"}:
            return None
        if kind == "backslash":
            return self._command(begin, end)
        if self._start < 0:
            self._start = begin
        if kind == "word":
            self._take_word(self._buffer[begin:end].decode(errors="replace").lower())
        elif kind == "open":
            self._depth += 1
        elif kind == "close":
            self._depth = max(0, self._depth - 1)
        elif kind == "semicolon":
            if self._depth == 0 and self._begin_depth == 0:
                return self._finish(end)
        elif self._depth == 0 and len(self._words) < _WORDS_KEPT and self._words[-1:] != [""]:
            self._words.append("")
        return None

    def _take_word(self, word: str) -> None:
        if self._depth == 0 and len(self._words) < _WORDS_KEPT:
            self._words.append(word)
        if len(self._leading) < 4 and word in {"create", "or", "replace", "function", "procedure"}:
            self._leading.append(word)
        if self._depth == 0 and self._makes_function():
            if word == "begin" or (word == "case" and self._begin_depth):
                self._begin_depth += 1
            elif word == "end" and self._begin_depth:
                self._begin_depth -= 1

    def _makes_function(self) -> bool:
        leading = [word for word in self._leading if word not in {"or", "replace"}]
        return leading[:1] == ["create"] and len(leading) > 1

    def _finish(self, end: int) -> Statement:
        statement = Statement(self._line_at(self._start), self._buffer[self._start : end], tuple(self._words))
        self._in_copy = self._expects_line_end = statement.reads_stdin
        self._forget(end)
        return statement

    def _command(self, begin: int, end: int) -> Command:
        command = Command(self._line_at(begin), self._buffer[begin:end].decode(errors="replace").rstrip())
        self._forget(end)
        return command

    def _drop_leading_space(self) -> None:
        if self._start < 0:
            self._forget(self._at)

    def _forget(self, end: int) -> None:
        self._line = self._line_at(end)
        self._from = self._at = end
        self._start, self._depth, self._begin_depth = -1, 0, 0
        self._words, self._leading = [], []

    def _line_at(self, position: int) -> int:
        return self._line + self._buffer.count(b"\n", self._from, position)


_NAMES = {
    "string": "a string",
    "estring": "a string",
    "quoted": "a quoted name",
    "dollar": "a dollar-quoted text",
    "block": "a comment",
}
