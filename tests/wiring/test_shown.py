"""Do tables say all that a person decides by?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ops.cli.shown import lifecycle, restores
from ops.model.backup_id import new_id
from ops.model.compose.project import Service, Stack
from ops.model.database import ServerOffers
from ops.model.engine import ServiceStatus, StackState
from ops.model.restore_plan import Target, plan_for_backup
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine
from tests.fakes.manifests import AT, FACTS, manifest


@dataclass
class Tools:
    stack: Stack
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(FakeClock()))


def test_what_runs_is_shown_though_its_profile_is_off_or_no_file_names_it_any_more(capsys) -> None:
    stack = Stack("shop", Path(), (), {"db": Service("db")}, inactive=("scheduler", "pgadmin"))
    orphans = (
        ServiceStatus("scheduler", state="running", health="healthy", is_orphan=True),
        ServiceStatus("renamed", state="running", is_orphan=True),
        ServiceStatus("gone", state="exited", is_orphan=True),
    )
    state = StackState("shop", services={"db": ServiceStatus("db", state="running")}, orphans=orphans)

    lifecycle.services(state, Tools(stack), as_json=True)

    shown = [(row["service"], row["state"], row["health"]) for row in json.loads(capsys.readouterr().out)]
    assert shown == [("db", "running", "none"), ("scheduler", "running", "healthy"), ("renamed", "running", "none")]


def test_the_plan_of_a_restore_says_how_old_the_backup_is(capsys) -> None:
    now = AT + timedelta(days=1, hours=3)
    offers = ServerOffers("postgresql", "17.11", 17, frozenset({"plpgsql"}), frozenset({"zstd"}))
    target = Target(new_id(now), "comic-pile", FACTS, "comicpile", offers, 10**9, (), kept_until=now)

    restores.restored(plan_for_backup(manifest(), target, history=None), None, as_json=False)

    assert f"taken {AT:%Y-%m-%d %H:%M:%S} UTC, 1 d 3 h ago)" in capsys.readouterr().out.splitlines()[0]
