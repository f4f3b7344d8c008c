"""Does what surrounds a change leave a true journal and no scratch database, wherever the change ends?"""

from __future__ import annotations

import pytest

from ops.actions.scratch_change import ScratchChange
from ops.errors import DeadlinePassed, EngineUnreachable, LoadFailed
from ops.model.change import Change, RecoveryPoint
from ops.model.database import DatabaseCopy
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.engine import Killed
from tests.fakes.journal import FakeJournal
from tests.fakes.reporter import RecordingReporter

SCRATCH = "comicpile__scratch"


class Scene:
    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.journal, self.clock, self.report = FakeJournal(), FakeClock(), RecordingReporter()
        self.checkpoints: list[str] = []
        self.is_done = False
        self.started = Change("20260131T020000Z", "restore", "started", self.clock.now(), "me@host", details={"a": 1})
        copy = DatabaseCopy(SCRATCH, "scratch", "comicpile", "restore", self.started.id, self.clock.now())
        self.database.create_copy(copy, self.database.facts())
        self.change = ScratchChange(
            scratch=SCRATCH, kept="comicpile__before", database=self.database, journal=self.journal,
            clock=self.clock, report=self.report, checkpoint=self.checkpoints.append, is_done=lambda: self.is_done,
        )  # fmt: skip

    def run(self, error: BaseException | None = None) -> None:
        with self.change.recorded(self.started, lambda: ("0002",)), self.change.dropped_on_failure():
            with self.change.step("load"):
                self.clock.sleep(2.0)
            if error is not None:
                raise error
            self.is_done = True

    @property
    def states(self) -> list[str]:
        return [line.state for line in self.journal.lines]


def test_a_change_that_stands_is_finished_with_its_recovery_point_and_its_times():
    scene = Scene()

    scene.run()

    last = scene.journal.lines[-1]
    assert scene.states == ["started", "finished"]
    assert last.recovery == RecoveryPoint("database", "comicpile__before")
    assert (last.to_revisions, dict(last.details)) == (("0002",), {"a": 1, "load_s": 2.0})
    assert scene.checkpoints == ["journal", "load", "finished"]
    assert scene.database.exists(SCRATCH)


@pytest.mark.parametrize(
    ("error", "said"), [(LoadFailed("row 3"), "row 3"), (KeyboardInterrupt(), "KeyboardInterrupt()")]
)
def test_a_change_that_fails_is_failed_with_why_and_leaves_no_scratch_database(error: BaseException, said: str):
    scene = Scene()

    with pytest.raises(type(error)):
        scene.run(error)

    assert scene.states == ["started", "failed"]
    assert scene.journal.lines[-1].details["error"] == said
    assert not scene.database.exists(SCRATCH)


def test_a_step_that_stalled_is_a_failed_load_that_left_the_live_database_as_it_was():
    scene = Scene()
    stalled = DeadlinePassed("counting of x: stalled and was ended", cause="the server answered nothing", hint="inv ps")

    with pytest.raises(LoadFailed) as failure:
        scene.run(stalled)

    assert failure.value.message == "counting of x: stalled and was ended; the live database is as it was"
    assert (failure.value.cause, failure.value.hint) == (stalled.cause, stalled.hint)
    assert scene.states == ["started", "failed"]
    assert not scene.database.exists(SCRATCH)


def test_a_failure_after_the_change_has_come_to_stand_undoes_nothing():
    scene = Scene()
    scene.is_done = True

    with pytest.raises(Killed):
        scene.run(Killed())

    assert scene.states == ["started", "finished"]
    assert scene.database.exists(SCRATCH)


def test_a_step_that_fails_has_no_time_and_no_checkpoint():
    scene = Scene()

    with pytest.raises(LoadFailed), scene.change.step("load"):
        raise LoadFailed("row 3")

    assert scene.change.steps_s == {}
    assert scene.checkpoints == []


def test_a_scratch_database_that_cannot_be_dropped_is_named_and_hides_no_error():
    scene = Scene()

    def unreachable(_name: str) -> None:
        raise EngineUnreachable("the connection broke")

    scene.database.drop_copy = unreachable  # type: ignore[method-assign]

    with pytest.raises(LoadFailed):
        scene.run(LoadFailed("row 3"))

    assert scene.report.warnings == [f"{SCRATCH} is left, the next change drops it: the connection broke"]
