"""When is a load taken for one that stands still?"""

from __future__ import annotations

import pytest

from ops.adapters.postgres.load_stall import LoadWatch


class Time:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def watch(time: Time) -> LoadWatch:
    return LoadWatch(10.0, monotonic=time)


def pass_by(watch: LoadWatch, time: Time, seconds: int) -> None:
    for _ in range(seconds):
        time.now_s += 1
        watch.look()


def test_one_that_neither_grows_nor_works_is_ended_once(watch: LoadWatch, time: Time) -> None:
    cuts: list[float] = []
    with watch.at_work(lambda: cuts.append(time.now_s)):
        for _ in range(30):
            watch.answered(100, is_busy=False)
            pass_by(watch, time, 1)

    assert watch.is_stalled
    assert not watch.keeps_on()
    assert cuts == [11.0]
    assert "did not grow" in (watch.failure("a.dump").cause or "")


def test_a_server_that_answers_nothing_is_told_as_such(watch: LoadWatch, time: Time) -> None:
    with watch.at_work():
        watch.answered(100, is_busy=True)
        pass_by(watch, time, 11)

    assert watch.is_stalled
    assert "answered nothing for 11 s" in (watch.failure("a.dump").cause or "")


@pytest.mark.parametrize(("step_bytes", "is_busy"), [(1, False), (0, True)])
def test_one_that_grows_or_works_may_take_as_long_as_it_likes(
    watch: LoadWatch, time: Time, step_bytes: int, is_busy: bool
) -> None:
    with watch.at_work():
        for number in range(100):
            watch.answered(number * step_bytes, is_busy=is_busy)
            pass_by(watch, time, 1)

    assert watch.keeps_on()


def test_a_process_of_ours_that_was_stopped_for_hours_has_not_seen_hours(watch: LoadWatch, time: Time) -> None:
    with watch.at_work():
        watch.answered(100, is_busy=False)
        time.now_s += 7200
        watch.look()

    assert watch.keeps_on()


def test_while_files_are_carried_nothing_is_judged(watch: LoadWatch, time: Time) -> None:
    watch.answered(100, is_busy=False)
    pass_by(watch, time, 1000)
    with watch.at_work():
        pass_by(watch, time, 5)

    assert watch.keeps_on()


def test_where_the_server_cannot_be_asked_nothing_is_judged(watch: LoadWatch, time: Time) -> None:
    watch.is_blind_now()
    with watch.at_work():
        pass_by(watch, time, 1000)

    assert watch.keeps_on()
