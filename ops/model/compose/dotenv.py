"""Which variables does an env file set?

The rules of `.env` and of `env_file`: quotes, escapes, comments, `export`, multi-line values and interpolation
as Compose has them. Pure: text in, variables out.

Source: runtime.md 2.5; Compose 2.40, compared in tests/judge.
"""

from __future__ import annotations

import re

from ops.model.compose.interpolation import Interpolation, Lookup, Missing
from ops.model.compose.values import refuse

_BLANKS = "\t\v\f\r \x85\xa0"
_EXPORT = re.compile(r"export\s+")
_ESCAPES = re.compile(r"""\\(?:[abcfnrtv$"\\]|0[0-9]{0,3})""")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
_OCTAL_DIGITS = 3


def parse_dotenv(
    text: str, *, source: str, lookup: Lookup, missing: list[Missing], known: dict[str, str] | None = None
) -> dict[str, str]:
    """Read an env file.

    Args:
        text: its content; BOM and CRLF are accepted.
        source: its name, for errors.
        lookup: the variables around the file; they win over those of the file in `$V` and give a bare `V` its value.
        missing: receives the variables that `$V` wanted and nobody has.
        known: variables of earlier files; visible to `$V`, and part of the result.

    Raises: ConfigurationError (an unterminated quote, a name with a space or another odd character).
    """
    return _Reader(text.removeprefix("\ufeff"), source, lookup, missing, dict(known or {})).variables()


class _Reader:
    def __init__(
        self, text: str, source: str, lookup: Lookup, missing: list[Missing], variables: dict[str, str]
    ) -> None:
        self._text = text
        self._at = 0
        self._source = source
        self._lookup = lookup
        self._variables = variables
        self._interpolation = Interpolation(self._visible, missing)

    def variables(self) -> dict[str, str]:
        while self._skip_to_statement():
            where = self._where()
            name, has_value = self._name()
            if " " in name:
                raise refuse(where, f"the name {name!r} holds a space")
            if has_value:
                self._variables[name] = self._value()
            elif (inherited := self._lookup(name)) is not None:
                self._variables[name] = inherited
        return self._variables

    def _visible(self, name: str) -> str | None:
        outside = self._lookup(name)
        return self._variables.get(name) if outside is None else outside

    def _where(self) -> str:
        line = self._text.count("\n", 0, self._at) + 1
        return f"{self._source}, line {line}"

    def _skip_to_statement(self) -> bool:
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "#":
                self._at = self._end_of_line()
            elif character.isspace():
                self._at += 1
            else:
                return True
        return False

    def _end_of_line(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _name(self) -> tuple[str, bool]:
        if export := _EXPORT.match(self._text, self._at):
            self._at = export.end()
        start = self._at
        for index in range(start, len(self._text)):
            character = self._text[index]
            if character in "=:\n":
                self._at = index + 1
                return self._text[start:index].rstrip(), character != "\n"
            if not (character in _BLANKS or character in "_.-[]" or character.isalnum()):
                raise refuse(self._where(), f"unexpected {character!r} in a variable's name")
        self._at = len(self._text)
        return self._text[start:].rstrip(), False

    def _value(self) -> str:
        while self._at < len(self._text) and self._text[self._at] in _BLANKS:
            self._at += 1
        quote = self._text[self._at : self._at + 1]
        if quote in ("'", '"') and quote:
            where = self._where()
            value = self._quoted(quote)
            return self._interpolation.text(_unescaped(value), where) if quote == '"' else value
        where, end = self._where(), self._end_of_line()
        value = self._text[self._at : end].partition(" #")[0].rstrip()
        self._at = end
        return self._interpolation.text(value, where)

    def _quoted(self, quote: str) -> str:
        characters: list[str] = []
        index = self._at + 1
        while index < len(self._text):
            character = self._text[index]
            if character == quote:
                self._at = index + 1
                return "".join(characters)
            if character == "\\" and index + 1 < len(self._text):
                index += 1
                escaped = self._text[index]
                characters.append(escaped if escaped == quote else "\\" + escaped)
            else:
                characters.append(character)
            index += 1
        raise refuse(self._where(), "a quote is not closed")


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(lambda found: _escape(found[0]), text)


def _escape(sequence: str) -> str:
    if sequence == r"\$":
        return "$$"  # the interpolation that follows makes it one dollar
    if sequence.startswith(r"\0"):
        digits = sequence[2:]
        is_octal = len(digits) == _OCTAL_DIGITS and set(digits) <= set("01234567") and int(digits, 8) < 256
        return chr(int(digits, 8)) if is_octal else "\\" + digits
    return _ESCAPED.get(sequence[1], sequence)
