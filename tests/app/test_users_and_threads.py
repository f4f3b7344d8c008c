"""Can users and threads be made, changed and removed over HTTP?"""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.app.reader import Reader


def test_a_user_is_created(client: TestClient) -> None:
    answer = client.post("/users", json={"name": "  Ada  "})

    assert answer.status_code == 201
    assert answer.json()["name"] == "Ada"
    assert answer.json()["created_at"].endswith("Z")
    assert client.get(f"/users/{answer.json()['id']}").json() == answer.json()
    assert client.get("/users").json() == [answer.json()]


def test_a_name_that_is_taken_is_a_conflict(client: TestClient) -> None:
    client.post("/users", json={"name": "Ada"})

    answer = client.post("/users", json={"name": "Ada"})

    assert (answer.status_code, answer.json()) == (409, {"detail": "user 'Ada' exists already"})


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": "   "}, {"name": None}, {"name": 7}, {"name": "x" * 101}, {"name": "a\x00b"},
        {"nom": "Ada"}, {"name": "Ada", "id": 5}, [], "Ada",
    ],
)  # fmt: skip
def test_what_is_no_user_is_refused_with_the_field_and_without_the_value(client: TestClient, body: Any) -> None:
    answer = client.post("/users", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"] == "validation failed"
    assert all(set(error) == {"field", "message", "type"} for error in answer.json()["errors"])
    assert client.get("/users").json() == []


@pytest.mark.parametrize("raw", [b"{", b'{"name": "\\ud800"}', b"\xff\xfe", b'{"name": NaN}'])
def test_a_body_that_is_no_sound_json_is_refused(client: TestClient, raw: bytes) -> None:
    answer = client.post("/users", content=raw, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    assert "detail" in answer.json()


def test_a_trailing_slash_is_the_same_address(client: TestClient) -> None:
    assert client.post("/users/", json={"name": "Ada"}, follow_redirects=False).status_code == 201
    assert client.get("/users/", follow_redirects=False).status_code == 200


@pytest.mark.parametrize("path", ["/users/1", "/threads/1", "/sessions/1", "/api/tasks/T-1", "/nowhere"])
def test_what_is_not_there_is_404_in_json(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("path", ["/users/0", "/threads/-1", "/sessions/2147483648", "/threads/abc", "/threads/9e99"])
def test_an_id_that_cannot_be_one_is_422(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 422


def test_a_method_that_is_not_there_is_405_in_json(client: TestClient) -> None:
    answer = client.delete("/users")

    assert (answer.status_code, set(answer.json())) == (405, {"detail"})


def test_a_thread_goes_to_the_end_of_the_first_users_queue(client: TestClient) -> None:
    first = client.post("/users", json={"name": "Ada"}).json()["id"]
    client.post("/users", json={"name": "Boris"})

    answer = client.post(
        "/threads", json={"name": "Saga", "publisher": "Image", "current_volume": 1, "current_issue": 3}
    )

    assert answer.status_code == 201
    saga = answer.json()
    shown = {key: saga[key] for key in ("user_id", "name", "publisher", "current_issue", "dice_value", "status")}
    assert shown == {
        "user_id": first, "name": "Saga", "publisher": "Image", "current_issue": 3, "dice_value": 6, "status": "active",
    }  # fmt: skip
    assert saga["queue_position"] == 1
    assert client.post("/threads", json={"name": "Bone"}).json()["queue_position"] == 2


def test_each_user_has_a_queue_of_their_own(client: TestClient) -> None:
    ada, boris = (client.post("/users", json={"name": name}).json()["id"] for name in ("Ada", "Boris"))

    places = [
        client.post("/threads", json={"name": name, "user_id": user}).json()["queue_position"]
        for name, user in (("Saga", ada), ("Bone", boris), ("Monstress", ada))
    ]

    assert places == [1, 1, 2]
    assert [row["name"] for row in client.get("/threads", params={"user_id": boris}).json()] == ["Bone"]


def test_a_thread_without_any_user_is_refused_with_what_to_do(client: TestClient) -> None:
    answer = client.post("/threads", json={"name": "Saga"})

    assert (answer.status_code, answer.json()) == (404, {"detail": "there is no user yet: create one with POST /users"})


@pytest.mark.parametrize("field", ["name", "publisher"])
def test_text_comes_back_as_it_was(reader: Reader, field: str) -> None:
    odd = '\'; DROP TABLE threads; -- <b>100%</b> \\ "é" 漫画 🎲'

    made = reader.client.post("/threads", json={"name": "Saga", field: odd})

    assert made.json()[field] == odd
    assert reader.client.get(f"/threads/{made.json()['id']}").json()[field] == odd


def test_only_the_fields_that_are_sent_change(reader: Reader) -> None:
    (saga,) = reader.threads("Saga")
    reader.client.put(f"/threads/{saga}", json={"publisher": "Image"})

    changed = reader.client.put(f"/threads/{saga}", json={"current_issue": 12}).json()

    assert (changed["name"], changed["publisher"], changed["current_issue"]) == ("Saga", "Image", 12)
    assert changed["updated_at"] > changed["created_at"]


@pytest.mark.parametrize(
    "body", [{"name": None}, {"name": ""}, {"current_issue": -1}, {"current_issue": 1.5}, {"status": "gone"}]
)
def test_a_change_that_is_not_valid_changes_nothing(reader: Reader, body: Any) -> None:
    (saga,) = reader.threads("Saga")
    before = reader.client.get(f"/threads/{saga}").json()

    assert reader.client.put(f"/threads/{saga}", json=body).status_code == 422
    assert reader.client.get(f"/threads/{saga}").json() == before


def test_a_deleted_thread_takes_its_sessions_along_and_the_queue_closes_up(reader: Reader) -> None:
    _saga, bone, _monstress = reader.threads("Saga", "Bone", "Monstress")
    session = reader.client.post("/sessions", json={"thread_id": bone}).json()["id"]

    assert reader.client.delete(f"/threads/{bone}").status_code == 204

    assert reader.queue() == ["Saga", "Monstress"]
    assert reader.client.get(f"/sessions/{session}").status_code == 404
    assert reader.client.delete(f"/threads/{bone}").status_code == 404
