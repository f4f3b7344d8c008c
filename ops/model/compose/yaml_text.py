"""What tree of values does a YAML text hold?

YAML 1.2 as Compose reads it: `yes` and `22:22` are texts, `012` is ten, `1_000` is a thousand; duplicate keys,
keys that are no text, several documents and dates without quotes are refused. Anchors, aliases and merge keys
(`<<`) are resolved. PyYAML gives only the events (libyaml's, which Compose's own go-yaml is a port of), the meaning of
plain scalars is ours.

Source: YAML 1.2.2; go-yaml 3's `resolve.go` for plain scalars, as Compose 2.40 shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.errors import ConfigurationError
from ops.model.compose.values import Tree, Value

if TYPE_CHECKING:
    from yaml.events import Event, ScalarEvent

_CONSTANTS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + word: float("inf") for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z", re.ASCII)
_INTEGERS = (
    (re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)\Z", re.ASCII), 16),
    (re.compile(r"([-+]?)0[bB]([01]+)\Z", re.ASCII), 2),
    (re.compile(r"([-+]?)0[oO]?([0-7]+)\Z", re.ASCII), 8),
    (re.compile(r"([-+]?)(0|[1-9][0-9]*)\Z", re.ASCII), 10),
)
_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)
_STANDARD = "tag:yaml.org,2002:"
_MERGE = "<<"


def parse_yaml(text: str, source: str) -> Tree:
    """Read one YAML document whose top level is a mapping.

    Args:
        text: the document; a byte order mark is allowed.
        source: the file's name, for errors.

    Raises: ConfigurationError, naming the file and the line.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = _Builder(yaml.parse(text, Loader=loader), source).document()
    except yaml.YAMLError as error:
        raise _syntax_error(error, source) from error
    if tree is None:
        raise ConfigurationError(f"{source} is empty")
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{source}: the top level must be a mapping")
    return tree


def _syntax_error(error: Exception, source: str) -> ConfigurationError:
    mark = getattr(error, "problem_mark", None)
    place = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else source
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return ConfigurationError(f"{place} is not YAML", cause=str(problem))


def plain_scalar(text: str) -> Value:
    """The value of a scalar without quotes. Raises: ValueError for a date, which no key takes."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] == ".":
        return float(text) if _FLOAT.match(text) else text
    if text[0] not in "+-0123456789":
        return text
    if _DATE.match(text):
        raise ValueError(text)
    return _number(text.replace("_", ""), text)


def _number(plain: str, text: str) -> Value:
    for pattern, base in _INTEGERS:
        if found := pattern.match(plain):
            number = int(found[1] + found[2], base)
            if _SMALLEST <= number <= _LARGEST:
                return number
    return float(plain) if _FLOAT.match(plain) else text


class _Builder:
    """Builds the tree from parser events, one document only."""

    def __init__(self, events: Iterator[Event], source: str) -> None:
        self._events = events
        self._source = source
        self._anchors: dict[str, Value] = {}

    def document(self) -> Value:
        from yaml import events as kinds

        tree: Value = None
        seen = False
        for event in self._events:
            if isinstance(event, kinds.DocumentStartEvent):
                if seen:
                    raise self._refused(event, "a second document; a compose file has one")
                seen, tree = True, self._node(next(self._events))
        return tree

    def _node(self, event: Event) -> Value:
        from yaml import events as kinds

        if isinstance(event, kinds.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._refused(event, f"unknown or circular alias *{event.anchor}")
            return self._anchors[event.anchor]
        value: Value
        if isinstance(event, kinds.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, kinds.SequenceStartEvent):
            self._check_tag(event, "seq")
            value = list(self._items(kinds.SequenceEndEvent))
        else:
            self._check_tag(event, "map")
            value = self._mapping(event)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = value
        return value

    def _items(self, end: type[Event]) -> Iterator[Value]:
        while not isinstance(event := next(self._events), end):
            yield self._node(event)

    def _mapping(self, start: Event) -> Tree:
        from yaml import events as kinds

        own: Tree = {}
        merged: list[Value] = []
        while not isinstance(event := next(self._events), kinds.MappingEndEvent):
            key = self._key(event)
            if key in own or (key == _MERGE and merged):
                raise self._refused(event, f"the key {key!r} is there twice")
            if key == _MERGE:
                value = self._node(next(self._events))
                merged = value if isinstance(value, list) else [value]
            else:
                own[key] = self._node(next(self._events))
        return self._with_merged(own, merged, start)

    def _with_merged(self, own: Tree, merged: list[Value], start: Event) -> Tree:
        result: Tree = {}
        for source in reversed(merged):
            if not isinstance(source, dict):
                raise self._refused(start, "a merge key (<<) takes a mapping or a list of mappings")
            result |= source
        return result | own

    def _key(self, event: Event) -> str:
        key = self._node(event)
        if not isinstance(key, str):
            raise self._refused(event, f"the key {getattr(event, 'value', key)!r} must be text: put it in quotes")
        return key

    def _scalar(self, event: ScalarEvent) -> Value:
        tag = str(event.tag) if event.tag else ""
        if tag not in ("", "!", f"{_STANDARD}str") and not (event.implicit[0] and not event.style):
            raise self._refused(event, f"the tag {tag.replace(_STANDARD, '!!')} is not supported")
        if event.style or tag:
            return str(event.value)
        try:
            return plain_scalar(event.value)
        except ValueError as error:
            raise self._refused(event, f"{event.value} would be a date: put it in quotes") from error

    def _check_tag(self, event: Event, kind: str) -> None:
        tag = str(getattr(event, "tag", None) or "!")
        if tag not in ("!", f"{_STANDARD}{kind}"):
            raise self._refused(event, f"the tag {tag.replace(_STANDARD, '!!')} is not supported")

    def _refused(self, event: Event, what: str) -> ConfigurationError:
        mark = event.start_mark
        place = f"{self._source}, line {mark.line + 1}, column {mark.column + 1}" if mark else self._source
        return ConfigurationError(f"{place}: {what}")
