"""Which change would a rollback undo?"""

from __future__ import annotations

from datetime import UTC, datetime

from ops.model.change import Change
from ops.model.database import DatabaseCopy
from ops.model.rollback_plan import last_change

AT = datetime(2026, 1, 31, 2, tzinfo=UTC)


def test_a_change_of_another_host_is_known_although_something_else_began_here_in_the_same_second() -> None:
    of_the_server = DatabaseCopy("app_old", "recovery-point", "app", "restore", "20260131T020000Z", AT, None)
    here = Change("20260131T020000Z", "exec", "finished", AT, "ann@host")

    found = last_change([here], [of_the_server], (), "app")

    assert found is not None
    assert (found.kind, found.recovery and found.recovery.name) == ("restore", "app_old")
