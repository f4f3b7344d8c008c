"""Which heads does the tree's schema history have, told quickly?

Reads the revision files as text instead of asking Alembic, which takes a second: for the hint after `inv up` only.
Every decision about migrations asks Alembic.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

_REVISION = re.compile(r"^revision(?:\s*:[^=\n]+)?\s*=\s*['\"](\w+)['\"]", re.MULTILINE)
_DOWN = re.compile(r"^down_revision(?:\s*:[^=\n]+)?\s*=\s*(.+)$", re.MULTILINE)
_NAMES = re.compile(r"['\"](\w+)['\"]")


def heads_of(config: Path) -> tuple[str, ...]:
    """The heads of the history that an Alembic configuration names; none where there is no history to read."""
    parser = configparser.RawConfigParser()
    if not parser.read(config, encoding="utf-8"):
        return ()
    location = parser.get("alembic", "script_location", fallback="alembic").replace("%(here)s", ".")
    texts = [path.read_text("utf-8") for path in sorted((config.parent / location / "versions").glob("*.py"))]
    revisions = {name for text in texts for name in _REVISION.findall(text)}
    beneath = {name for text in texts for line in _DOWN.findall(text) for name in _NAMES.findall(line)}
    return tuple(sorted(revisions - beneath))
