"""What is a copy of a database called?

`<live>__<role>_<id>`, all in lower case and within PostgreSQL's 63 bytes; a live name that is too long is cut and
told apart by a piece of its hash. The name is for people: what a copy is, its description says.
"""

from __future__ import annotations

import hashlib
import re

from ops.model.database import CopyRole

LONGEST_BYTES = 63
_TAGS: dict[CopyRole, str] = {"scratch": "scratch", "recovery-point": "before", "kept": "kept"}
_ID = re.compile(r"[0-9a-z]+(?:-[0-9]+)?")


def copy_name(live: str, role: CopyRole, id: str) -> str:
    """The name of the copy that the change `id` makes of `live`.

    Args:
        live: the live database's name.
        role: what the copy is for.
        id: the change's id, such as `20260131T020000Z`; letters, digits and one `-n` at the end.
    """
    tail = f"__{_TAGS[role]}_{_checked(id)}"
    return _cut(live, LONGEST_BYTES - len(tail)) + tail


def is_scratch_name(name: str, live: str) -> bool:
    """Whether a database without a description could be a scratch copy whose maker was killed."""
    prefix, mark, id = name.rpartition("__scratch_")
    return bool(mark and _ID.fullmatch(id)) and prefix == _cut(live, LONGEST_BYTES - len(mark) - len(id))


def _checked(id: str) -> str:
    lowered = id.lower()
    if not _ID.fullmatch(lowered):
        raise ValueError(f"not the id of a change: {id!r}")
    return lowered


def _cut(live: str, room: int) -> str:
    encoded = live.encode()
    if len(encoded) <= room:
        return live
    mark = hashlib.sha256(encoded).hexdigest()[:8]
    return encoded[: room - len(mark) - 1].decode(errors="ignore") + "_" + mark
