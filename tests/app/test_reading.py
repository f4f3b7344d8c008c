"""What do a roll and a rating do to the queue, the die and the log?"""

from __future__ import annotations

import pytest

from app import dice
from app.dice import LADDER, next_die
from tests.app.reader import Reader


@pytest.mark.parametrize(
    ("die", "rating", "then"),
    [
        (6, 4.0, 4), (6, 3.9, 8), (4, 5.0, 4), (20, 0.5, 20), (12, 4.5, 10), (12, 1.0, 20), (8, 4.0, 6), (10, 2.0, 12),
        (7, 5.0, 7), (100, 1.0, 100),
    ],
)  # fmt: skip
def test_the_die_steps_along_the_ladder(die: int, rating: float, then: int) -> None:
    assert next_die(die, rating) == then


def test_a_throw_gives_each_face_and_no_other() -> None:
    assert {dice.throw(4) for _ in range(500)} == {1, 2, 3, 4}


def test_a_roll_picks_the_thread_at_the_place_that_the_die_gives(reader: Reader) -> None:
    _saga, _bone, monstress = reader.threads("Saga", "Bone", "Monstress")

    rolled = reader.roll(3)

    assert {key: rolled[key] for key in ("thread_id", "name", "die_size", "result")} == {
        "thread_id": monstress, "name": "Monstress", "die_size": 6, "result": 3,
    }  # fmt: skip
    session = reader.session(rolled["session_id"])
    assert (session["status"], session["dice_roll"], session["ended_at"]) == ("active", 3, None)
    assert [event["event_type"] for event in session["events"]] == ["roll"]


def test_only_the_first_threads_are_in_reach_of_the_die(reader: Reader) -> None:
    reader.threads(*(f"thread {number}" for number in range(9)))

    reader.roll()
    reader.client.post("/roll", json={"user_id": reader.id, "die": 20})

    assert reader.die.asked == [6, 9]


def test_a_roll_over_an_empty_queue_is_refused(reader: Reader) -> None:
    answer = reader.client.post("/roll")

    assert (answer.status_code, answer.json()) == (400, {"detail": "no active threads available to roll"})


def test_a_die_that_is_no_rung_is_refused(reader: Reader) -> None:
    reader.threads("Saga")

    assert reader.client.post("/roll", json={"die": 7}).status_code == 422


def test_a_good_rating_moves_to_the_front_and_makes_the_die_smaller(reader: Reader) -> None:
    reader.threads("Saga", "Bone", "Monstress")
    rolled = reader.roll(2)

    rated = reader.rate(4.0, issues_read=2)

    assert reader.queue() == ["Bone", "Saga", "Monstress"]
    assert (rated["last_rating"], rated["current_issue"], rated["dice_value"], rated["queue_position"]) == (
        4.0,
        2,
        4,
        1,
    )
    assert rated["last_review_at"].endswith("Z")
    assert reader.in_hand() == 4
    session = reader.session(rolled["session_id"])
    assert (session["status"], session["read"], session["skipped"], session["completed"]) == (
        "read",
        True,
        False,
        False,
    )
    assert session["ended_at"] is not None
    assert [(event["event_type"], event["issue"], event["rating"]) for event in session["events"]] == [
        ("roll", None, None),
        ("rate", 2, 4.0),
    ]


def test_a_poor_rating_moves_to_the_back_and_makes_the_die_larger(reader: Reader) -> None:
    reader.threads("Saga", "Bone", "Monstress")
    reader.roll(1)

    reader.rate(3.5)

    assert reader.queue() == ["Bone", "Monstress", "Saga"]
    assert reader.in_hand() == 8


def test_the_die_walks_the_whole_ladder_and_stays_at_its_ends(reader: Reader) -> None:
    reader.threads("Saga", "Bone")

    seen = []
    for rating in (1, 1, 1, 1, 1, 5, 5, 5, 5, 5, 5):
        reader.roll()
        reader.rate(rating)
        seen.append(reader.in_hand())

    assert seen == [8, 10, 12, 20, 20, 12, 10, 8, 6, 4, 4]
    assert set(seen) == set(LADDER)


def test_a_rating_needs_an_open_session_and_uses_it_up(reader: Reader) -> None:
    reader.threads("Saga")
    refused = (400, {"detail": "no active session: roll the dice first"})
    first = reader.client.post("/rate", json={"rating": 4})
    reader.roll()
    reader.rate(4)

    again = reader.client.post("/rate", json={"rating": 4})

    assert (first.status_code, first.json()) == refused
    assert (again.status_code, again.json()) == refused


@pytest.mark.parametrize("rating", [0, 0.4, 5.1, -1, None, "good", "NaN"])
def test_a_rating_off_the_scale_is_refused_and_the_session_stays_open(reader: Reader, rating: object) -> None:
    reader.threads("Saga")
    session = reader.roll()["session_id"]

    answer = reader.client.post("/rate", json={"rating": rating})

    assert answer.status_code == 422
    assert reader.session(session)["status"] == "active"


def test_the_last_issue_completes_the_thread_and_takes_it_out_of_the_queue(reader: Reader) -> None:
    saga, *_ = reader.threads("Saga", "Bone", "Monstress")
    session = reader.roll(1)["session_id"]

    rated = reader.rate(5, finished=True)

    assert (rated["status"], rated["queue_position"]) == ("completed", None)
    assert reader.queue() == ["Bone", "Monstress"]
    assert reader.session(session)["completed"] is True
    assert [event["event_type"] for event in reader.session(session)["events"]] == ["roll", "rate", "complete"]
    assert reader.client.post("/sessions", json={"thread_id": saga}).status_code == 400
    assert reader.client.put(f"/queue/threads/{saga}/front").status_code == 400


def test_a_completed_thread_comes_back_to_the_front(reader: Reader) -> None:
    saga, _bone = reader.threads("Saga", "Bone")
    assert reader.client.post(f"/threads/{saga}/reactivate").status_code == 400
    reader.roll(1)
    reader.rate(5, finished=True)

    back = reader.client.post(f"/threads/{saga}/reactivate")

    assert (back.status_code, back.json()["status"]) == (200, "active")
    assert reader.queue() == ["Saga", "Bone"]


def test_a_new_roll_sets_the_open_session_aside(reader: Reader) -> None:
    reader.threads("Saga", "Bone")
    first = reader.roll(1)["session_id"]

    second = reader.roll(2)["session_id"]

    assert reader.session(first)["status"] == "skipped"
    assert [event["event_type"] for event in reader.session(first)["events"]] == ["roll", "skip"]
    assert reader.client.get("/sessions/current").json()["id"] == second


def test_a_thread_can_be_chosen_by_hand(reader: Reader) -> None:
    _saga, bone = reader.threads("Saga", "Bone")

    answer = reader.client.post("/sessions", json={"thread_id": bone})

    assert answer.status_code == 201
    assert (answer.json()["thread_id"], answer.json()["dice_roll"], answer.json()["status"]) == (bone, None, "active")
    assert reader.rate(4.5)["name"] == "Bone"


def test_a_session_can_be_skipped(reader: Reader) -> None:
    reader.threads("Saga", "Bone")
    session = reader.roll()["session_id"]

    answer = reader.client.post("/skip")

    assert (answer.status_code, answer.json()["status"], answer.json()["skipped"]) == (200, "skipped", True)
    assert reader.queue() == ["Saga", "Bone"]
    assert reader.client.post("/skip").status_code == 400
    assert reader.client.get("/sessions/current").status_code == 404
    assert reader.session(session)["read"] is False


def test_two_users_read_beside_each_other(reader: Reader) -> None:
    reader.threads("Saga")
    boris = Reader(reader.client, reader.die, reader.client.post("/users", json={"name": "Boris"}).json()["id"])
    boris.threads("Bone")
    reader.roll()
    boris.roll()

    boris.rate(1)

    assert reader.client.get("/sessions/current", params={"user_id": reader.id}).status_code == 200
    assert (reader.in_hand(), boris.in_hand()) == (6, 8)


def test_sessions_are_listed_newest_first_in_pages(reader: Reader) -> None:
    reader.threads("Saga")
    ids = [reader.roll()["session_id"] for _ in range(3)]

    pages = [
        [row["id"] for row in reader.client.get("/sessions", params={"limit": 2, "offset": offset}).json()]
        for offset in (0, 2)
    ]

    assert pages == [[ids[2], ids[1]], [ids[0]]]
    assert reader.client.get("/sessions", params={"limit": 101}).status_code == 422
