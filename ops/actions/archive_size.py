"""How large will the next archive be, and is there room for it?

As the newest backup of the same database says: it knows how well its contents compress.
"""

from __future__ import annotations

from collections.abc import Iterable

from ops.errors import ArchiveUnwritable
from ops.model.database import DatabaseFacts
from ops.model.manifest import Manifest
from ops.model.size import human_size
from ops.ports import Archives

MAKE_ROOM = "inv prune, or set BACKUP_DIR to a larger disk"
"""What a person does about it."""
_FIRST_SHARE = 0.5
"""How large an archive is taken to be beside its database when there is none to compare with."""
_GROWTH = 1.25
_SPARE_BYTES = 1 << 20


def refuse_without_room(facts: DatabaseFacts, earlier: Iterable[Manifest], archives: Archives) -> None:
    """Tell before the dump what can be foreseen. Raises: ArchiveUnwritable."""
    needed = estimated_size_bytes(facts, earlier)
    free = archives.free_space_bytes()
    if free < needed:
        raise ArchiveUnwritable(
            f"a backup of {facts.name} needs about {human_size(needed)}, the backup folder has {human_size(free)} left",
            cause=f"the database has {human_size(facts.size_bytes)}",
            hint=MAKE_ROOM,
        )


def estimated_size_bytes(facts: DatabaseFacts, earlier: Iterable[Manifest]) -> int:
    """How large the next archive will be: as the newest one, grown as the database has; else half the database."""
    newest = _newest_of(facts, earlier)
    if newest is None:
        return int(facts.size_bytes * _FIRST_SHARE) + _SPARE_BYTES
    growth = max(1.0, facts.size_bytes / max(1, newest.database.size_bytes))
    return int(newest.size_bytes * growth * _GROWTH) + _SPARE_BYTES


def expected_size_bytes(facts: DatabaseFacts, earlier: Iterable[Manifest]) -> int | None:
    """About how many bytes a dump will give, for its time left: as the newest one; None where there is none yet."""
    newest = _newest_of(facts, earlier)
    if newest is None:
        return None
    return int(newest.plain_size_bytes * facts.size_bytes / max(1, newest.database.size_bytes))


def _newest_of(facts: DatabaseFacts, earlier: Iterable[Manifest]) -> Manifest | None:
    own = (facts.kind, facts.name)
    alike = [manifest for manifest in earlier if (manifest.database.kind, manifest.database.name) == own]
    return max(alike, key=lambda manifest: manifest.id, default=None)
