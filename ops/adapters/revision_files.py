"""Which heads does the tree's schema history have, told quickly?

Reads the revision files as syntax, without running them or asking Alembic, which takes a second: for the hint after
`inv up` only. Every decision about migrations asks Alembic. What cannot be told this way is not told at all: an id
that is computed, a location inside of an installed package.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_NAMES = ("revision", "down_revision")
_BODY = re.compile(r"^(?:async )?(?:def|class) ", re.MULTILINE)
_SEPARATORS = {"space": None, "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}


class TreeHistory(NamedTuple):
    """What the revision files say; all of it empty where there are none to read, or where reading does not tell."""

    heads: tuple[str, ...]
    """Sorted."""
    known: frozenset[str]
    """Every revision."""


def read_history(config: Path) -> TreeHistory:
    """The history that an Alembic configuration names; each of its files is read once."""
    read = _read_all(config)
    known = frozenset(name for own, _ in read for name in own)
    return TreeHistory(tuple(sorted(known - {name for _, beneath in read for name in beneath})), known)


def _read_all(config: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    parser = configparser.RawConfigParser({"here": str(config.parent.resolve())})
    try:
        if not parser.read(config, encoding="utf-8"):
            return []
        return [_read(path.read_text("utf-8")) for path in _files(config.parent, _options(parser))]
    except (configparser.Error, OSError, ValueError, SyntaxError):
        return []


def _options(parser: configparser.RawConfigParser) -> Mapping[str, str]:
    if not parser.has_section("alembic"):
        return {}
    here = parser.defaults()["here"]
    return {name: value.replace("%(here)s", here).replace("%%", "%") for name, value in parser.items("alembic")}


def _files(root: Path, options: Mapping[str, str]) -> Iterator[Path]:
    """The revision files, each once. Raises: ValueError for a location that is not a folder's path."""
    is_deep = options.get("recursive_version_locations", "").strip().lower() in {"true", "yes", "on", "1"}
    seen: set[Path] = set()
    for location in _locations(options):
        if ":" in location.removeprefix(Path(location).drive):
            raise ValueError("inside of a package")
        for path in sorted((root / location).glob("**/*.py" if is_deep else "*.py")):
            if not path.name.startswith(("__init__", ".#")) and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _locations(options: Mapping[str, str]) -> list[str]:
    """Source: alembic.config.Config.get_version_locations_list of 1.20."""
    text = options.get("version_locations", "").strip()
    if not text:
        return [f"{options.get('script_location', 'alembic')}/versions"]
    separator = options.get("path_separator") or options.get("version_path_separator")
    if separator is None:
        return [one for one in re.split(r", *| +", text) if one]
    return [one.strip() for one in text.split(_SEPARATORS.get(separator.strip(), separator.strip())) if one.strip()]


def _read(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The id of one revision file, and the ids right beneath it; nothing where the file has no id.

    Nearly all files say so above their first function, and parsing only that is twenty times as quick.

    Raises: SyntaxError, ValueError for a value that only running the file would tell.
    """
    body = _BODY.search(text)
    if body is not None:
        try:
            found = _assigned(text[: body.start()])
        except SyntaxError:  # inside of a text of several lines, for one
            found = {}
        if len(found) == len(_NAMES):
            return _ids(found["revision"]), _ids(found["down_revision"])
    found = _assigned(text)
    return _ids(found.get("revision")), _ids(found.get("down_revision"))


def _assigned(text: str) -> dict[str, ast.expr]:
    """What a module assigns to the names that we look for, at its top level; the last one counts."""
    found: dict[str, ast.expr] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        found.update({one.id: value for one in targets if isinstance(one, ast.Name) and one.id in _NAMES})
    return found


def _ids(value: ast.expr | None) -> tuple[str, ...]:
    """The ids of a literal. Raises: ValueError."""
    literal = None if value is None else ast.literal_eval(value)
    ids = () if literal is None else (literal,) if isinstance(literal, str) else tuple(literal)
    if not all(isinstance(one, str) for one in ids):
        raise ValueError("not the id of a revision")
    return ids
