"""What do `$V`, `${V:-default}` and `${V:?message}` become?

Values only, never keys; a value that was put in is not looked at again. A variable that is unset and has no
default becomes an empty text and is reported, so that a strict caller can refuse all of them at once.

Source: runtime.md 2.5; the Compose specification's chapter on interpolation, as Compose 2.40 has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ops.errors import ConfigurationError
from ops.model.compose.values import Tree, Value

Lookup: TypeAlias = Callable[[str], "str | None"]

_NAME = r"[_a-z][_a-z0-9]*"
_PATTERN = re.compile(
    rf"\$(?:(?P<escaped>\$)|(?P<named>{_NAME})|\{{(?:(?P<braced>{_NAME}(?::?[-+?].*)?)\}}|(?P<invalid>)))",
    re.IGNORECASE | re.ASCII,
)
_OPERATORS = (":?", "?", ":-", "-", ":+", "+")


@dataclass(frozen=True, slots=True)
class Missing:
    """A variable without a value: where it was wanted, and what `:?` says about it (None: plain `$V`)."""

    name: str
    where: str
    message: str | None = None

    @property
    def is_required(self) -> bool:
        """Whether the file itself insists (`:?`, `?`), so that nobody may go on without it."""
        return self.message is not None


@dataclass(slots=True)
class Interpolation:
    """Puts variables into texts and remembers what was missing."""

    lookup: Lookup
    missing: list[Missing]

    def tree(self, tree: Tree) -> Tree:
        """A copy of a file's tree with all values interpolated. Raises: ConfigurationError."""
        return {key: self._value(value, key) for key, value in tree.items()}

    def _value(self, value: Value, where: str) -> Value:
        if isinstance(value, str):
            return self.text(value, where)
        if isinstance(value, dict):
            return {key: self._value(item, f"{where}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return value

    def text(self, template: str, where: str) -> str:
        """One text interpolated. Raises: ConfigurationError for `${V`, `${1}`, `${V!x}`."""
        if "$" not in template:
            return template
        return _PATTERN.sub(lambda found: self._replace(found[0], template, where), template)

    def _replace(self, found: str, template: str, where: str) -> str:
        # A greedy match may reach beyond the variable's own brace: what follows is a template of its own.
        end = _closing_brace(found)
        own, rest = (found[: end + 1], found[end + 1 :]) if end >= 0 else (found, "")
        parts = _PATTERN.search(own)
        if parts is None or parts["invalid"] is not None:
            raise _invalid(template, where)
        if parts["escaped"]:
            return "$"
        if parts["named"]:
            return self._plain(parts["named"], where)
        operator = _first_operator(found)
        if operator is None or operator not in parts["braced"]:
            return self._plain(parts["braced"], where)
        return self._braced(parts["braced"], operator, where) + self.text(rest, where)

    def _plain(self, name: str, where: str) -> str:
        value = self.lookup(name)
        if value is None:
            self.missing.append(Missing(name, where))
        return value or ""

    def _braced(self, expression: str, operator: str, where: str) -> str:
        name, _, template = expression.partition(operator)
        value = self.lookup(name)
        is_there = bool(value) if operator.startswith(":") else value is not None
        # Read in any case, so that a broken template is refused; what it misses counts only where it is used.
        missing: list[Missing] = []
        argument = Interpolation(self.lookup, missing).text(template, where)
        is_used = is_there == (operator[-1] == "+")
        if is_used:
            self.missing += missing
        if is_used and operator[-1] == "?":
            self.missing.append(Missing(name, where, argument))
            return ""
        return argument if is_used else value or ""


def _first_operator(found: str) -> str | None:
    places = [(found.index(operator), order) for order, operator in enumerate(_OPERATORS) if operator in found]
    return _OPERATORS[min(places)[1]] if places else None


def _closing_brace(text: str) -> int:
    depth = 0
    index = 0
    while index < len(text):
        if text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
        if text[index] == "{":
            depth += 1
            index += 1
        index += 1
    return -1


def _invalid(template: str, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {template!r} is not a valid interpolation",
        cause="after ${ must come a name and }, or one of :- - :? ? :+ + with a text",
        hint="write $$ for a dollar sign",
    )
