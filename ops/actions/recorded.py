"""How does the journal learn of a change: started before its first effect, finished or failed after its last?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ops.errors import OpsError
from ops.model.backup_id import new_id
from ops.model.change import Change, ChangeKind
from ops.ports import Clock, Journal


@contextmanager
def recorded(
    journal: Journal | None, kind: ChangeKind, *, by: str, clock: Clock, what: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """Write the lines around a change; a kill leaves `started` without an end.

    Args:
        journal: None writes nothing.
        kind: what sort of change.
        by: who, as `user@host pid`.
        clock: dates the lines.
        what: details that are known before it begins.

    Yields: a dictionary to put details of the end into; JSON-able, never a secret.
    """
    details: dict[str, Any] = dict(what)
    if journal is None:
        yield details
        return
    began_at = clock.now()
    change = Change(id=new_id(began_at), kind=kind, state="started", at=began_at, by=by, details=dict(details))
    journal.append(change)
    try:
        yield details
    except BaseException as exc:
        error = exc.message if isinstance(exc, OpsError) else type(exc).__name__
        journal.append(replace(change, state="failed", at=clock.now(), details={**details, "error": error}))
        raise
    journal.append(replace(change, state="finished", at=clock.now(), details=details))
