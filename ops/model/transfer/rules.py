"""What does a person decide where a value has no single meaning?

A TOML file with one table for each column, `["table.column"]`, and one for a whole table's keys, `["table"]`. Each rule
is counted in the report; without a rule the transfer stops and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ops.errors import ConfigurationError
from ops.model.transfer.schema import Pair

_WORDS: dict[str, type] = {
    "zone": str, "empty": str, "charset": str, "orphans": str, "booleans": str, "epoch": str, "nul": str, "round": bool,
}  # fmt: skip
_ALLOWED: dict[str, frozenset[str]] = {
    "empty": frozenset({"null"}),
    "charset": frozenset({"cp1252", "latin-1"}),
    "orphans": frozenset({"abort", "null", "drop", "quarantine"}),
    "booleans": frozenset({"words"}),
    "epoch": frozenset({"seconds", "milliseconds", "microseconds"}),
    "nul": frozenset({"strip", "replace"}),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The decisions for one column.

    Attributes:
        zone: the zone of moments without an offset, such as `Europe/Berlin`.
        empty: `null`: an empty text becomes NULL.
        charset: how text that is no UTF-8 is read.
        orphans: what becomes of rows whose parent is missing.
        booleans: `words`: t, true, yes, y, on, 1 and their opposites.
        epoch: numbers count from 1970 in this unit.
        nul: `strip` NUL characters, or `replace` them by U+FFFD.
        round: decimals, doubles and numbers of single precision with too many digits are rounded, half to even.
    """

    zone: str = ""
    empty: str = ""
    charset: str = ""
    orphans: Literal["abort", "null", "drop", "quarantine"] = "abort"
    booleans: str = ""
    epoch: str = ""
    nul: str = ""
    round: bool = False


NO_RULE = Rule()


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, by `table.column` in lower case."""

    by_column: Mapping[str, Rule]

    def of(self, table: str, column: str) -> Rule:
        """The rule of a column; one that changes nothing where there is none."""
        return self.by_column.get(f"{table}.{column}".casefold(), NO_RULE)

    def refuse_unknown(self, pairs: Sequence[Pair]) -> None:
        """Refuse rules for columns that the transfer does not have: most often a slip. Raises: ConfigurationError."""
        known = {f"{pair.source.name}.{name}".casefold() for pair in pairs for name in pair.names}
        unknown = sorted(self.by_column.keys() - known)
        if unknown:
            raise ConfigurationError(
                f"the rules name columns that the transfer does not have: {', '.join(unknown)}",
                hint='["table.column"] as the source calls them',
            )


NO_RULES = Rules({})


def parse_rules(document: Mapping[str, Any], *, file: str = "the rules file") -> Rules:
    """Read the parsed TOML. Raises: ConfigurationError, naming the column and the word."""
    found: dict[str, Rule] = {}
    for name, values in document.items():
        if "." not in name or not isinstance(values, dict):
            raise ConfigurationError(f"{file}: {name} is no column", hint='["table.column"]')
        for word, value in values.items():
            _check(file, name, word, value)
        found[name.casefold()] = Rule(**values)
    return Rules(found)


def _check(file: str, name: str, word: str, value: object) -> None:
    if word not in _WORDS:
        known = ", ".join(field.name for field in fields(Rule))
        raise ConfigurationError(f"{file}: {name} has no rule {word}", cause=f"there are {known}")
    if not isinstance(value, _WORDS[word]):
        raise ConfigurationError(f"{file}: {word} of {name} is {value!r}")
    allowed = _ALLOWED.get(word)
    if allowed is not None and value not in allowed:
        raise ConfigurationError(
            f"{file}: {word} of {name} is {value!r}", cause=f"it can be {', '.join(sorted(allowed))}"
        )
    if word == "zone":
        try:
            ZoneInfo(str(value))
        except (ValueError, OSError, KeyError) as exc:
            raise ConfigurationError(f"{file}: zone of {name} is {value!r}, which is no zone") from exc
