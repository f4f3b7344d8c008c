"""Do tables say all that a person decides by?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.cli.shown import lifecycle, restores, service
from ops.model.backup_id import new_id
from ops.model.compose.project import Service, Stack
from ops.model.database import ServerOffers
from ops.model.engine import ServiceStatus, StackState
from ops.model.finding import Finding
from ops.model.restore_plan import Target, plan_for_backup
from ops.output import address_commands, begin_result
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine
from tests.fakes.manifests import AT, FACTS, manifest


@pytest.fixture
def in_production() -> Iterator[None]:
    begin_result()
    address_commands(is_production=True, is_by_url=False)
    yield
    begin_result()


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


@pytest.mark.usefixtures("in_production")
def test_what_a_refused_plan_of_production_says_to_do_is_done_to_production(capsys) -> None:
    offers = ServerOffers("postgresql", "17.11", 17, frozenset({"plpgsql"}), frozenset({"zstd"}))
    target = Target(new_id(AT), "comic-pile", FACTS, "comicpile", offers, 1, (), kept_until=AT)
    plan = plan_for_backup(replace(manifest(), database=replace(FACTS, size_bytes=10**9)), target, history=None)

    restores.restored(plan, None, as_json=False)

    assert "are free: inv prune --prod --copies" in capsys.readouterr().out


@pytest.mark.usefixtures("in_production")
def test_the_hints_of_a_check_of_production_are_about_production_as_json_too(capsys) -> None:
    found = [Finding("backup", "critical", "there is no good backup at all", "inv backup")]

    service.findings(found, as_json=False)
    service.findings(found, as_json=True)

    text, _, document = capsys.readouterr().out.partition("{")
    assert "-> inv backup --prod" in text
    assert json.loads("{" + document)["findings"][0]["hint"] == "inv backup --prod"
