"""How is the application's own database filled with years of use?

Readers roll a die, read an issue and rate it: a session with a `roll`, a `rate`, now and then a `skip` or a `choose`
instead. Each moment is the one that the application would have written, to the microsecond: the event's own, and when
its row came and last changed a moment later. The tables are those of the migrations, with their keys and indexes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

USERS, THREADS, SESSIONS_PER_GB, TASKS = 400, 20_000, 2_200_000, 3_000
COLUMNS = {
    "users": "id, name, created_at, updated_at",
    "threads": (
        "id, name, publisher, current_issue, dice_value, last_rating, last_review_at, user_id, queue_position, status,"
        " created_at, updated_at"
    ),
    "sessions": (
        "id, thread_id, started_at, ended_at, status, dice_roll, completed, skipped, read, created_at, updated_at"
    ),
    "events": "id, session_id, event_type, issue, rating, timestamp, created_at, updated_at",
    "tasks": "id, task_id, title, description, priority, status, created_at, updated_at",
}
"""In the order of their keys."""
_START = datetime(2019, 1, 1, tzinfo=UTC).timestamp()
_DICE = (4, 6, 8, 10, 12, 20)
_PUBLISHERS = ("Marvel", "DC", "Image", "Dark Horse", "Vertigo", "IDW", r"\N")
_NULL = r"\N"


def lines(table: str, scale: float, words: Sequence[str]) -> Iterator[str]:
    """The lines of COPY for one table; the same for the same scale.

    Args:
        table: a key of `COLUMNS`.
        scale: 1 makes a database of about 1 GB.
        words: what names and descriptions are made of.
    """
    sessions = int(SESSIONS_PER_GB * scale)
    if table == "users":
        return (f"{number}\treader {number}\t{_moments(_START + number, 2)}\n" for number in range(1, USERS + 1))
    if table == "threads":
        return _threads(words)
    if table == "tasks":
        return _tasks(words)
    return _sessions(sessions) if table == "sessions" else _events(sessions)


def _moments(at: float, count: int, later: float = 0.0002) -> str:
    return "\t".join(_moment(at + later * (number > 0)) for number in range(count))


def _moment(at: float) -> str:
    return str(datetime.fromtimestamp(at, UTC))


def _threads(words: Sequence[str]) -> Iterator[str]:
    draw = random.Random(5)
    for number in range(1, THREADS + 1):
        name = " ".join(draw.choices(words, k=draw.randrange(1, 5))).title()
        user, place = 1 + (number - 1) % USERS, 1 + (number - 1) // USERS
        yield (
            f"{number}\t{name}\t{draw.choice(_PUBLISHERS)}\t{draw.randrange(1, 300)}\t{draw.choice(_DICE)}"
            f"\t{draw.randrange(1, 11) / 2}\t{_moment(_START + draw.random() * 1e8)}\t{user}\t{place}\tactive"
            f"\t{_moments(_START + number, 2)}\n"
        )


def _sittings(count: int) -> Iterator[tuple[int, int, float, float, float]]:
    """(number, thread, began, ended, a number from 0 to 1 that decides the rest) of every session."""
    draw = random.Random(6)
    at = _START
    for number in range(1, count + 1):
        at += draw.random() * 120
        yield number, 1 + int(draw.random() * THREADS), at, at + 300 + draw.random() * 2400, draw.random()


def _sessions(count: int) -> Iterator[str]:
    for number, thread, began, ended, chance in _sittings(count):
        is_read, roll = chance > 0.1, 1 + int(chance * 1000) % 20
        yield (
            f"{number}\t{thread}\t{_moment(began)}\t{_moment(ended)}\t{'read' if is_read else 'skipped'}\t{roll}"
            f"\tf\t{'f' if is_read else 't'}\t{'t' if is_read else 'f'}\t{_moment(began + 0.0003)}"
            f"\t{_moment(ended + 0.0002)}\n"
        )


def _events(count: int) -> Iterator[str]:
    number = 0
    for session, _thread, began, ended, chance in _sittings(count):
        is_read = chance > 0.1
        rating = str(1 + int(chance * 9000) % 9 / 2) if is_read else _NULL
        for kind, at, value in (
            ("choose" if chance > 0.9 else "roll", began, _NULL),
            ("rate" if is_read else "skip", ended, rating),
        ):
            number += 1
            moments = _moments(at, 3, 0.0002 + chance / 1e4)
            yield f"{number}\t{session}\t{kind}\t{1 + session % 300}\t{value}\t{moments}\n"


def _tasks(words: Sequence[str]) -> Iterator[str]:
    draw = random.Random(7)
    for number in range(1, TASKS + 1):
        title, description = (" ".join(draw.choices(words, k=size)) for size in (6, 120))
        at = _START + timedelta(days=number).total_seconds()
        yield f"{number}\tTASK-{number:04}\t{title}\t{description}\tMEDIUM\tdone\t{_moments(at, 2)}\n"
