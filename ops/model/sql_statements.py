"""Where does each SQL statement end, and of which words is it made?

Understands what PostgreSQL and SQLite scripts hold: strings with doubled quotes, `E''` strings with backslashes,
quoted identifiers, dollar quotes, line comments, nested block comments, `BEGIN ATOMIC` bodies and triggers.
It never fails: text it cannot read becomes single characters.

Source: PostgreSQL manual, 4.1 Lexical Structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["word", "name", "string", "number", "mark"]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<block>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
  | (?P<name>(?:[uU]&)?"(?:[^"]|"")*"|`[^`]*`|\[[A-Za-z_][^\]\[,]*\])
  | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<mark>::|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a statement. Words are lower case; names (quoted identifiers) keep theirs, without quotes."""

    kind: TokenKind
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: `text` as it was written without comments around it, `line` counted from 1."""

    text: str
    tokens: tuple[Token, ...]
    line: int

    def begins(self, *words: str) -> bool:
        """Whether the statement's first words are these (lower case)."""
        return tuple(token.text for token in self.tokens[: len(words)] if token.kind == "word") == words


def _end_of_comment(sql: str, start: int) -> int:
    depth, place = 1, start + 2
    for found in re.finditer(r"/\*|\*/", sql[place:]):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return place + found.end()
    return len(sql)


def _tokens(sql: str) -> Iterator[tuple[int, int, Token]]:
    place = 0
    while place < len(sql):
        found = _TOKEN.match(sql, place)
        if found is None:  # pragma: no cover - the last alternative takes any character
            return
        kind, end = str(found.lastgroup), found.end()
        if kind == "block":
            end = _end_of_comment(sql, place)
        elif kind == "dollar":
            closing = sql.find(found.group(), end)
            end = len(sql) if closing < 0 else closing + len(found.group())
            yield place, end, Token("string", sql[place:end])
        elif kind == "word":
            yield place, end, Token("word", found.group().lower())
        elif kind == "name":
            yield place, end, Token("name", _unquoted(found.group()))
        elif kind == "string":
            yield place, end, Token("string", found.group())
        elif kind in ("number", "mark"):
            yield place, end, Token("number" if kind == "number" else "mark", found.group())
        place = end


def _unquoted(name: str) -> str:
    quoted = name[name.index('"') :] if '"' in name[:3] else name
    return quoted[1:-1].replace('""', '"')


def split(sql: str) -> tuple[Statement, ...]:
    """The statements of a script, in order; a last one without `;` counts too."""
    statements: list[Statement] = []
    tokens: list[Token] = []
    start, end, depth = 0, 0, 0

    def finish() -> None:
        if tokens:
            statements.append(Statement(sql[start:end], tuple(tokens), sql.count("\n", 0, start) + 1))
            tokens.clear()

    for begin, stop, token in _tokens(sql):
        if token == Token("mark", ";") and depth == 0:
            finish()
            continue
        if not tokens:
            start = begin
        tokens.append(token)
        end = stop
        depth = _body_depth(tokens, depth)
    finish()
    return tuple(statements)


def _body_depth(tokens: list[Token], depth: int) -> int:
    """How deep we are in a body whose semicolons do not end the statement."""
    last = tokens[-1]
    if last.kind != "word" or tokens[0].text != "create":
        return depth
    if depth == 0:
        is_trigger = last.text == "begin" and any(token.text == "trigger" for token in tokens[:4])
        is_atomic = last.text == "atomic" and len(tokens) > 1 and tokens[-2].text == "begin"
        return 1 if is_trigger or is_atomic else 0
    if last.text == "case":
        return depth + 1
    return depth - 1 if last.text == "end" else depth
