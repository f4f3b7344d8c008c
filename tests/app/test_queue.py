"""Does the queue keep its places 1..n, whatever is moved, and by however many at once?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from fastapi.testclient import TestClient

from tests.app.reader import Reader

NAMES = ["a", "b", "c", "d", "e"]


def test_every_move_gives_what_a_list_gives(reader: Reader) -> None:
    by_name = dict(zip(NAMES, reader.threads(*NAMES), strict=True))
    expected = [*NAMES]

    for start, place in product(range(5), [1, 2, 3, 4, 5, 6, 2**31 - 1]):
        name = expected.pop(start)
        expected.insert(place - 1, name)
        answer = reader.client.put(f"/queue/threads/{by_name[name]}/position", json={"new_position": place})

        assert (answer.status_code, answer.json()["queue_position"]) == (200, min(place, 5))
        assert reader.queue() == expected


def test_front_and_back(reader: Reader) -> None:
    ids = reader.threads(*NAMES)

    assert reader.client.put(f"/queue/threads/{ids[3]}/front").json()["queue_position"] == 1
    assert reader.client.put(f"/queue/threads/{ids[0]}/back").json()["queue_position"] == 5

    assert reader.queue() == ["d", "b", "c", "e", "a"]


@pytest.mark.parametrize("place", [0, -1, 1.5, None, 2**31])
def test_a_place_that_cannot_be_is_refused(reader: Reader, place: object) -> None:
    ids = reader.threads(*NAMES)

    assert reader.client.put(f"/queue/threads/{ids[0]}/position", json={"new_position": place}).status_code == 422
    assert reader.queue() == NAMES


def test_moving_a_thread_that_is_not_there_is_404(client: TestClient) -> None:
    assert client.put("/queue/threads/1/front").status_code == 404


def test_another_users_queue_does_not_move(reader: Reader) -> None:
    ids = reader.threads("a", "b")
    boris = Reader(reader.client, reader.die, reader.client.post("/users", json={"name": "Boris"}).json()["id"])
    boris.threads("x", "y")

    reader.client.put(f"/queue/threads/{ids[1]}/front")

    assert (reader.queue(), boris.queue()) == (["b", "a"], ["x", "y"])


def test_many_at_once_leave_whole_queues_and_one_open_session(reader: Reader) -> None:
    ids = reader.threads(*NAMES)

    def one(number: int) -> int:
        kind, thread = number % 4, ids[number % 5]
        if kind == 0:
            return reader.client.put(f"/queue/threads/{thread}/front").status_code
        if kind == 1:
            return reader.client.post("/threads", json={"name": f"new {number}"}).status_code
        if kind == 2:
            return reader.client.put(f"/queue/threads/{thread}/position", json={"new_position": 3}).status_code
        return reader.client.post("/roll").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(one, range(40)))

    assert statuses == {200, 201}
    assert len(reader.queue()) == 15
    sessions = reader.client.get("/sessions", params={"limit": 100}).json()
    assert len(sessions) == 10
    assert [row["status"] for row in sessions].count("active") == 1
