"""Which revisions are pending, and when do scripts and database not agree?

A database is only migrated when the history has one head and the database stands at revisions of that history;
anything else is refused, and nothing is ever stamped.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import RevisionConflict
from ops.model.revision import History, Revision


def stamp_command(revision: str, *, app_service: str = "") -> str:
    """What a person types to say at which revision this very database is; nothing of ours ever does.

    By itself Alembic takes the application's default database, which is another one. `app_service`: the service that
    knows this one, "" where none is known to.
    """
    if app_service:
        return f"inv exec --service {app_service} -- alembic stamp {revision}"
    return f"alembic stamp {revision} with DATABASE_URL set to this database"


def target_of(history: History, target: str = "head") -> str:
    """The one revision to reach. Raises: RevisionConflict (several heads, unknown target)."""
    if len(history.heads) > 1:
        heads = " ".join(history.heads)
        raise RevisionConflict(
            f"the schema history has {len(history.heads)} heads: {', '.join(history.heads)}",
            cause="revisions were written side by side on the same parent",
            hint=f"alembic merge -m 'merge heads' {heads}",
        )
    if target == "head":
        return history.heads[0] if history.heads else ""
    matches = [item.id for item in history.revisions if item.id.startswith(target)]
    if target in matches:
        return target
    if len(matches) != 1:
        raise RevisionConflict(
            f"{'no' if not matches else 'more than one'} revision is called {target}", hint="inv history"
        )
    return matches[0]


def pending(
    history: History, current: Sequence[str], *, target: str = "head", tables: Sequence[str] = ()
) -> tuple[Revision, ...]:
    """The revisions to apply, in order.

    Args:
        history: what the scripts hold.
        current: what the database's version table holds.
        target: where to stop; a revision's id or its unambiguous beginning.
        tables: the database's tables without the version table; needed only where `current` is empty.

    Raises: RevisionConflict, whenever scripts and database do not agree.
    """
    goal = target_of(history, target)
    unknown = [name for name in current if history.find(name) is None]
    if unknown:
        raise RevisionConflict(
            f"the database is at revision {', '.join(unknown)}, which the scripts do not have",
            cause="the database is ahead of this checkout, or belongs to another project",
            hint="git pull, then inv history",
        )
    if not current and tables:
        raise RevisionConflict(
            f"the database has {len(tables)} tables but no revision: {_some(tables)}",
            cause="the tables were made without Alembic (create_all, a dump): nobody knows which revision they are at",
            hint=f"once you know that they equal a revision: {stamp_command(goal or 'ID')}",
        )
    wanted = history.with_ancestors([goal])
    return tuple(item for item in history.pending(current) if item.id in wanted)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
