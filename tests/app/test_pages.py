"""Do the pages show what there is, and nothing of it as HTML?"""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from tests.app.reader import Reader

EVIL = "<script>alert('x')</script>\"><img src=x onerror=y>"
PAGES = ["/", "/queue", "/history", "/docs"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_on_an_empty_database(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")


def test_the_first_page_without_a_user_asks_for_a_name(client: TestClient) -> None:
    assert 'data-api="POST /users"' in client.get("/").text


@pytest.mark.parametrize("path", ["/", "/queue", "/history"])
def test_names_are_text_and_never_html(reader: Reader, path: str) -> None:
    reader.client.post("/users", json={"name": EVIL})
    reader.client.post("/threads", json={"name": EVIL, "publisher": EVIL, "user_id": reader.id})
    reader.roll()

    page = reader.client.get(path).text

    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "<img" not in page


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_only_from_here_and_everything_they_name_is_there(reader: Reader, path: str) -> None:
    reader.threads("Saga")

    page = reader.client.get(path).text

    assert "://" not in page
    for address in re.findall(r'(?:src|href)="(/[^"#]*)"', page):
        assert reader.client.get(address).status_code == 200, address


def test_the_roll_page_shows_the_die_what_is_in_reach_and_the_open_session(reader: Reader) -> None:
    reader.threads(*(f"thread {number}" for number in range(1, 9)))
    before = reader.client.get("/").text
    reader.roll(2)

    after = reader.client.get("/").text

    assert "<h1>d6</h1>" in before
    assert ("thread 6" in before, "thread 7" in before) == (True, False)
    assert ('data-api="POST /roll"' in before, 'data-api="POST /rate"' in before) == (True, False)
    assert "<h2>thread 2</h2>" in after
    assert 'data-api="POST /rate"' in after


def test_the_history_shows_what_became_of_each_session(reader: Reader) -> None:
    reader.threads("Saga", "Bone")
    reader.roll(1)
    reader.rate(5, finished=True)
    reader.client.post("/roll")
    reader.client.post("/skip")

    page = reader.client.get("/history").text

    assert page.index("skipped") < page.index("finished")


def test_a_page_for_a_user_who_is_not_there_is_404(client: TestClient) -> None:
    assert client.get("/", params={"user_id": 99}).status_code == 404


def test_the_docs_name_every_operation_of_the_api(client: TestClient) -> None:
    page = client.get("/docs").text
    paths = client.get("/openapi.json").json()["paths"]

    assert {"/users", "/threads", "/roll", "/rate", "/sessions", "/api/tasks", "/health", "/health/ready"} <= set(paths)
    for path, operations in paths.items():
        for method in operations:
            assert f"{method.upper()} {path}" in page


def test_the_api_describes_its_errors_as_they_are(client: TestClient) -> None:
    shapes = client.get("/openapi.json").json()["components"]["schemas"]

    assert set(shapes["NotValid"]["properties"]) == set(client.post("/users", json={}).json())
    assert "HTTPValidationError" not in shapes


def test_static_files_stay_in_their_folder(client: TestClient) -> None:
    assert client.get("/static/app.css").headers["content-type"].startswith("text/css")
    for path in ("/static/../main.py", "/static/%2e%2e/main.py", "/static/nothing.js", "/static"):
        assert client.get(path).status_code == 404
