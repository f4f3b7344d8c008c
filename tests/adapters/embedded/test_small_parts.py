"""Do the parts of the embedded engine do what they say?"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from ops.adapters.embedded import tcp_ports
from ops.adapters.embedded.application import filled, service_environment
from ops.adapters.embedded.keeper import Plan, launch
from ops.adapters.embedded.process_mark import wait_until
from ops.adapters.embedded.programs import server_programs
from ops.adapters.embedded.run_program import run_program
from ops.adapters.embedded.server import settings_of, usable_settings
from ops.adapters.embedded.service_log import Follower, read_log
from ops.adapters.embedded.start_keys import digested, spec_as_seen
from ops.adapters.embedded.state_folder import StateFolder
from ops.errors import ConfigurationError
from ops.model.compose.project import Service
from ops.model.compose.spec import changed_keys
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (None, {}),
        (("postgres",), {}),
        (("postgres", "-c", "work_mem=8MB", "-cshared_buffers=1GB", "--max-connections=50"),
         {"work_mem": "8MB", "shared_buffers": "1GB", "max_connections": "50"}),
        (("postgres", "-c", "search_path=a,b=c"), {"search_path": "a,b=c"}),
        (("postgres", "-c", "work_mem=1MB", "-c", "WORK_MEM=2MB"), {"work_mem": "2MB"}),
        (("postgres", "-N", "50", "-c"), {}),
    ],
)  # fmt: skip
def test_settings_of_a_compose_command(command, settings):
    assert settings_of(command) == settings


def test_only_known_settings_that_are_ours_to_give_are_usable():
    programs = server_programs(os.defpath)
    wanted = {
        "work_mem": "8MB", "timescaledb.workers": "1", "port": "1", "listen_addresses": "*", "hba_file": "/x",
        "no_such": "1", "ssl": "on", "unix_socket_directories": "/tmp",
    }  # fmt: skip

    good, others = usable_settings(programs, wanted)

    assert good == {"work_mem": "8MB"}
    assert set(others) == wanted.keys() - {"work_mem"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://me:p%40ss@db:5432/comic?connect_timeout=5",
         "postgresql+psycopg://me:p%40ss@127.0.0.1:5433/comic?connect_timeout=5"),
        ("", "postgresql+psycopg://me:p%40ss@127.0.0.1:5433/comic"),
        ("postgresql://you:x@elsewhere:5432/other", "postgresql://you:x@elsewhere:5432/other"),
        ("sqlite:///comic.db", "sqlite:///comic.db"),
    ],
)  # fmt: skip
def test_a_database_url_is_moved_only_where_it_names_the_database_service(url, expected):
    database = PostgresEndpoint("127.0.0.1", 5433, "me", Secret("p@ss"), "comic")
    service = Service("app", environment={"DATABASE_URL": url})

    assert service_environment(service, database, database_service="db")["DATABASE_URL"] == expected


def test_the_port_is_filled_into_the_command():
    command = filled(("python", "--port", "{port}"), port=8123, path=str(Path(sys.executable).parent))

    assert command == (str(Path(sys.executable).parent / "python"), "--port", "8123")
    with pytest.raises(ConfigurationError, match="no program 'nope'"):
        filled(("nope",), port=1, path="/nowhere")


def test_a_changed_value_is_named_and_an_unchanged_one_is_not(tmp_path):
    state = StateFolder(tmp_path / "state")
    service = Service("app", environment={"A": "1", "B": "2"})
    began = digested(state, ["run"], {"A": "1", "B": "old", "GONE": "x"})

    now = digested(state, ["run"], {"A": "1", "B": "2", "NEW": "y"})

    assert changed_keys(spec_as_seen(service, now, now), service) == ()
    assert changed_keys(spec_as_seen(service, began, now), service) == (
        "environment.B changed", "environment.GONE removed", "environment.NEW removed",
    )  # fmt: skip


def test_digests_tell_nothing_outside_their_folder(tmp_path):
    one, other = StateFolder(tmp_path / "one"), StateFolder(tmp_path / "other")

    assert one.digest("secret") == one.digest("secret")
    assert one.digest("secret") != other.digest("secret")


def test_the_identity_stays_and_is_another_elsewhere(tmp_path):
    assert StateFolder(tmp_path / "one").identity() == StateFolder(tmp_path / "one").identity()
    assert StateFolder(tmp_path / "one").identity() != StateFolder(tmp_path / "other").identity()


def test_the_owner_of_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert f"pid {os.getpid()}" in tcp_ports.owner(port)
        assert not tcp_ports.is_free(port)
        assert tcp_ports.next_free(port) > port
    assert tcp_ports.is_free(port)


@pytest.mark.parametrize(
    ("argv", "code"), [(("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -TERM $$"), 143), (("no-such-program",), 127)]
)
def test_exit_codes_of_programs(argv, code):
    assert run_program(argv, environment={"PATH": os.defpath}, cwd="/") == code


def test_a_program_that_does_not_read_its_input_ends(tmp_path):
    code = run_program(["true"], environment={"PATH": os.defpath}, cwd="/", stdin=io.BytesIO(b"x" * 5_000_000))

    assert code == 0


def test_real_files_are_handed_on_as_they_are(tmp_path):
    with (tmp_path / "in").open("w+b") as given, (tmp_path / "out").open("w+b") as taken:
        given.write(b"through")
        given.seek(0)
        code = run_program(["cat"], environment={"PATH": os.defpath}, cwd="/", stdin=given, stdout=taken)

    assert (code, (tmp_path / "out").read_bytes()) == (0, b"through")


def keep(folder: Path, *argv: str) -> tuple[str, Path]:
    """Have a program kept to its end."""
    plan = Plan(argv, "/", str(folder / "s.json"), str(folder / "s.lock"), str(folder / "s.log"), 15, 9, 2.0, {})
    word = launch(plan, {"PATH": os.defpath})
    if word == "started":
        assert wait_until(lambda: json.loads((folder / "s.json").read_text())["exit_code"] is not None, 20)
    return word, folder / "s.log"


def test_a_kept_program_leaves_its_code_and_every_word(tmp_path):
    word, log = keep(tmp_path, "/bin/sh", "-c", "echo one; echo two >&2; printf 'no end'; exit 5")

    lines = list(read_log("s", log, tail=None, since=None))
    assert word == "started"
    assert json.loads((tmp_path / "s.json").read_text())["exit_code"] == 5
    assert sorted((line.text, line.is_error) for line in lines) == [("no end", False), ("one", False), ("two", True)]


def test_a_program_that_is_not_there_is_told_at_once(tmp_path):
    word, _ = keep(tmp_path, "/no/such/program")

    assert word == "/no/such/program: No such file or directory"
    assert not (tmp_path / "s.json").exists()


def test_a_log_is_bounded_and_read_across_its_parts(tmp_path):
    follower = Follower("s", tmp_path / "s.log")

    _, log = keep(
        tmp_path, "/bin/sh", "-c", "yes 'a line of some length that fills the log' | head -n 200000; echo last"
    )

    total = sum(path.stat().st_size for path in tmp_path.glob("s.log*"))
    lines = list(read_log("s", log, tail=None, since=None))
    assert total < 25 * 1024 * 1024
    assert lines[-1].text == "last"
    assert follower.poll()[-1].text == "last"
    assert [line.text for line in read_log("s", log, tail=2, since=None)][-1] == "last"


def test_what_a_program_left_running_ends_with_it(tmp_path):
    _, log = keep(tmp_path, "/bin/sh", "-c", "sleep 600 & echo $!")

    (line,) = read_log("s", log, tail=None, since=None)
    assert wait_until(lambda: not Path(f"/proc/{line.text}/cmdline").exists() or _is_gone(line.text), 10)


def _is_gone(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
