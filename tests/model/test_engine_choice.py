"""Does a stack stay on the engine it was started on?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ops.errors import ConfigurationError, EngineUnreachable
from ops.model.engine import EngineInfo
from ops.model.engine_choice import EngineRecord, check_identity, choose_engine

RECORD = EngineRecord("embedded", "/srv/x/.ops", "id-1", datetime(2026, 1, 31, tzinfo=UTC))


def never() -> bool:
    raise AssertionError("docker was asked although the answer does not matter")


@pytest.mark.parametrize(("answers", "engine"), [(True, "docker"), (False, "embedded")])
def test_the_first_up_takes_docker_when_it_answers_and_else_the_embedded_engine(answers, engine) -> None:
    choice = choose_engine("auto", None, is_production=False, does_docker_answer=lambda: answers)

    assert choice.engine == engine


def test_a_recorded_engine_is_used_without_asking_whether_another_answers() -> None:
    choice = choose_engine("auto", RECORD, is_production=False, does_docker_answer=never)

    assert choice.engine == "embedded"


def test_a_wish_that_contradicts_the_record_is_refused_with_the_way_to_move() -> None:
    with pytest.raises(ConfigurationError, match="runs on the embedded engine") as raised:
        choose_engine("docker", RECORD, is_production=False, does_docker_answer=never)

    assert raised.value.exit_code == 2
    assert "inv restore" in str(raised.value.hint)


def test_production_never_falls_back() -> None:
    with pytest.raises(EngineUnreachable) as raised:
        choose_engine("auto", None, is_production=True, does_docker_answer=lambda: False)

    assert raised.value.exit_code == 10


def test_another_engine_at_the_same_place_is_refused() -> None:
    with pytest.raises(EngineUnreachable, match="not the one this stack was started on"):
        check_identity(EngineInfo("embedded", "/srv/x/.ops", "18.6", "id-2"), RECORD)


def test_the_same_engine_passes() -> None:
    assert check_identity(EngineInfo("embedded", "/srv/x/.ops", "18.6", "id-1"), RECORD) is None
