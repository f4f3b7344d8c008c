"""Is what people and programs read from us right?"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ops import output
from ops.errors import PortTaken, RestoreRefused
from ops.log import Log
from ops.model.secret import Secret
from ops.model.size import human_size
from ops.output import (
    ConsoleReporter,
    address_commands,
    begin_result,
    json_text,
    plain,
    progress_bar,
    progress_line,
    show,
    show_error,
    table,
)


@pytest.mark.parametrize(("size", "said"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")])
def test_sizes_are_said_in_powers_of_a_thousand(size, said) -> None:
    assert human_size(size) == said


@pytest.mark.parametrize(("done", "bar"), [(0, "." * 20), (5, "#" * 10 + "." * 10), (10, "#" * 20), (12, "#" * 20)])
def test_a_bar_shows_how_far_something_is(done, bar) -> None:
    assert progress_bar(done, 10) == f"[{bar}]"


def test_progress_has_rate_and_time_left_for_bytes_and_neither_for_a_few_services() -> None:
    assert progress_line("dump", 50_000_000, 100_000_000, "bytes", 5.0) == (
        "dump: 50.0 MB of 100.0 MB (50 %), 10.0 MB/s, 5 s left"
    )
    assert progress_line("ready", 1, 3, "services", 12.0) == "ready: 1 of 3 services"
    assert progress_line("fingerprint", 8_000, 364_000_000, "bytes", 5.0) == (
        "fingerprint: 8.0 kB of 364.0 MB (0 %), 1.6 kB/s"
    )


def test_a_long_list_is_the_same_json_with_one_item_a_line() -> None:
    at = datetime(2026, 1, 31, 2, tzinfo=timezone(timedelta(hours=1)))
    row = {
        "id": "a",
        "at": at,
        "size": 5,
        "good": None,
        "tags": ("x", "\u00e9"),
        "key": Secret("hunter-two"),
        "of": Path("b"),
    }
    few, many = [row] * 3, [row] * 1000

    text = json_text(many)

    assert json.loads(text) == plain(many) == json.loads(json_text(few)) * 333 + plain([row])
    assert len(text.splitlines()) == 1002
    assert json.loads(json_text({"rows": many, "total": 1000})) == {"rows": plain(many), "total": 1000}
    assert json_text(many, is_ascii=True).isascii()
    assert plain(row)["at"] == "2026-01-31T01:00:00Z"


def test_a_secret_is_masked_in_json_and_in_every_line_of_the_log() -> None:
    stream = io.StringIO()
    log = Log(stream, is_json=True, secrets=[Secret("hunter-two")])

    log.event("backup.finished", {"note": "with hunter-two in it"}, at=datetime(2026, 1, 31, tzinfo=UTC))

    assert plain({"password": Secret("hunter-two")}) == {"password": "***"}
    assert json.loads(stream.getvalue())["note"] == "with *** in it"


def test_an_error_without_a_cause_or_hint_says_what_its_kind_means(capsys) -> None:
    stream = io.StringIO()
    begin_result()

    show_error(PortTaken("port 8000 is taken"), Log(stream, is_json=False), as_json=True)

    assert stream.getvalue().splitlines()[0] == "ops: error: port 8000 is taken"
    assert "  cause: a port that the stack publishes is in use by something else" in stream.getvalue()
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 16


def test_a_command_in_a_cause_of_production_is_about_production_too(capsys) -> None:
    stream = io.StringIO()
    begin_result()
    address_commands(is_production=True, is_by_url=False)

    show_error(RestoreRefused("no", cause="no room: inv prune --copies"), Log(stream, is_json=False), as_json=True)
    begin_result()

    assert "cause: no room: inv prune --prod --copies" in stream.getvalue()
    assert json.loads(capsys.readouterr().out)["error"]["cause"] == "no room: inv prune --prod --copies"


def test_a_failure_after_the_result_leaves_one_document_on_stdout(capsys) -> None:
    stream = io.StringIO()
    begin_result()
    show({"steps": []}, as_json=True, text=str)

    show_error(PortTaken("port 8000 is taken"), Log(stream, is_json=False), as_json=True)

    assert json.loads(capsys.readouterr().out) == {"steps": []}
    assert "port 8000 is taken" in stream.getvalue()


def test_a_cell_neither_breaks_its_line_nor_steers_the_terminal() -> None:
    assert table([["a\nb", "\x1b[31mé"]], ["name", "note"]) == "NAME  NOTE\na\\nb  \\x1b[31mé"


def test_numbers_stand_to_the_right_in_a_table() -> None:
    assert table([["a", 1], ["bb", 20]], ["name", "count"]) == "NAME  COUNT\na         1\nbb       20"


def test_a_reporter_off_a_terminal_writes_whole_lines() -> None:
    stream = io.StringIO()
    report = ConsoleReporter(Log(stream, is_json=False), stream)

    report.note("hello")
    report.progress("dump", 1, 10)
    report.finished("dump.finished", size_bytes=10)

    assert stream.getvalue() == "ops: hello\ndump.finished size_bytes=10\n"


def test_off_a_terminal_progress_is_a_whole_line_every_few_seconds_with_rate_and_time_left(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    report = ConsoleReporter(Log(stream, is_json=False), stream)

    for second in range(13):
        now[0] = 100.0 + second
        report.progress("load", second * 10_000_000, 200_000_000)

    assert stream.getvalue().splitlines() == [
        "load: 50.0 MB of 200.0 MB (25 %), 10.0 MB/s, 15 s left",
        "load: 100.0 MB of 200.0 MB (50 %), 10.0 MB/s, 10 s left",
    ]


def test_on_a_terminal_progress_is_one_line_that_is_written_anew_and_makes_way_for_what_is_said(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    report = ConsoleReporter(Log(stream, is_json=False), stream)

    for done in (0, 10_000_000, 20_000_000):
        report.progress("load", done, 40_000_000)
        now[0] += 1
    report.note("loaded")

    clear = "\r\x1b[K"
    assert stream.getvalue() == (
        f"{clear}[{'.' * 20}] load: 0 B of 40.0 MB"
        f"{clear}[{'#' * 5}{'.' * 15}] load: 10.0 MB of 40.0 MB (25 %), 10.0 MB/s, 3 s left"
        f"{clear}[{'#' * 10}{'.' * 10}] load: 20.0 MB of 40.0 MB (50 %), 10.0 MB/s, 2 s left{clear}ops: loaded\n"
    )
