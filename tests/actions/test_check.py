"""Is a stack judged fairly where not every part of it is ours?"""

from __future__ import annotations

from pathlib import Path

from ops.actions.check import check_stack
from ops.adapters.url_engine import UrlEngine
from ops.model.compose.project import Stack
from ops.model.finding import Finding
from ops.model.secret import Secret
from ops.model.stats import DatabaseStats
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.migrator import FakeMigrator, line


def test_services_that_somebody_else_runs_are_not_critical(tmp_path: Path) -> None:
    database = FakeDatabase()

    found = check_stack(
        engine=UrlEngine(Secret(f"sqlite:///{tmp_path / 'app.db'}")),
        stack=Stack("opstest", tmp_path, (), services={}),
        database=lambda: database,
        archives=FakeArchives(tmp_path),
        migrator=lambda: FakeMigrator(line("a")),
        read_stats=lambda: DatabaseStats("app.db", "3.40", 0, ()),
        heartbeat_age_s=lambda: 1.0,
        certificates=lambda: (),
        clock=FakeClock(),
    )

    services = [one for one in found if one.name == "services"]
    assert services == [
        Finding(
            "services",
            "ok",
            "not looked at: the database that DATABASE_URL names is run by somebody else, "
            "and so are the services around it",
        )
    ]


def test_a_project_without_a_schema_history_is_fit_all_the_same(tmp_path: Path) -> None:
    found = check_stack(
        engine=UrlEngine(Secret(f"sqlite:///{tmp_path / 'app.db'}")),
        stack=Stack("opstest", tmp_path, (), services={}),
        database=FakeDatabase,
        archives=FakeArchives(tmp_path),
        migrator=lambda: None,
        read_stats=lambda: DatabaseStats("app.db", "3.40", 0, ()),
        heartbeat_age_s=lambda: 1.0,
        certificates=lambda: (),
        clock=FakeClock(),
    )

    assert [one.level for one in found if one.name == "revision"] == ["ok"]
