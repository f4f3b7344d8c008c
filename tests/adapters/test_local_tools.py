"""Do PostgreSQL's programs run here as a ToolRunner promises, and never outlive us?"""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ops.adapters.embedded.process_mark import mark_of, wait_until
from ops.adapters.local_tools import LocalTools
from ops.errors import ArchiveUnwritable, DeadlinePassed
from ops.model.dead_mans_pipe import pid_file, wrap
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.conftest import connect, postgres_binaries

ROOT = Path(__file__).parents[2]
NOWHERE = PostgresEndpoint("127.0.0.1", 1, "me", Secret("hunter2"), "comic")


@pytest.fixture
def tools() -> LocalTools:
    return LocalTools(postgres_binaries(), NOWHERE)


@pytest.fixture
def nothing_left() -> Iterator[str]:
    """A word that no command line may hold any more after the test."""
    word = secrets.token_hex(8)
    yield word
    assert wait_until(lambda: not _holding(word), 10), "a program outlived its run"


def _holding(word: str) -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return [line for line in found if word.encode() in line]


def test_stdout_comes_in_order_and_the_exit_code_is_the_programs(tools):
    said: list[bytes] = []

    result = tools.run(["sh", "-c", "seq 1 100000; echo oh >&2; exit 7"], on_stdout=said.append)

    assert (result.exit_code, result.stderr) == (7, "oh\n")
    assert b"".join(said) == b"".join(b"%d\n" % number for number in range(1, 100001))


def test_a_signal_is_128_plus_its_number(tools):
    assert tools.run(["sh", "-c", "kill -KILL $$"]).exit_code == 137


def test_much_on_stderr_blocks_nothing_and_its_end_is_kept(tools):
    result = tools.run(["sh", "-c", "seq 1 200000 >&2"])

    assert result.exit_code == 0
    assert result.stderr.endswith("199999\n200000\n")
    assert len(result.stderr) <= 64 * 1024


def test_the_password_is_in_the_environment_and_in_no_command_line(tools, nothing_left):
    seen: list[bytes] = []
    shown: list[bytes] = []

    def look(block: bytes) -> None:
        seen.append(block)
        shown.extend(_holding(nothing_left))

    tools.run(["sh", "-c", "echo $PGPASSWORD; exec sleep 0.1"], on_stdout=look, password=Secret(nothing_left))

    assert seen == [f"{nothing_left}\n".encode()]
    assert shown == []


def test_without_a_password_none_is_inherited(tools, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "from-outside")
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    said: list[bytes] = []

    tools.run(["sh", "-c", "env | grep ^PG; true"], on_stdout=said.append, environment={"PGAPPNAME": "ops:test"})

    assert b"".join(said) == b"PGAPPNAME=ops:test\n"


def test_what_a_receiver_raises_ends_the_program(tools, nothing_left):
    def refuse(_block: bytes) -> None:
        raise ArchiveUnwritable("disk full")

    with pytest.raises(ArchiveUnwritable):
        tools.run(["sh", "-c", "yes; : $1", "sh", nothing_left], on_stdout=refuse)


def test_a_silent_program_is_ended_after_the_idle_time(tools, nothing_left):
    with pytest.raises(DeadlinePassed, match=r"sh wrote nothing for 0\.3 s"):
        tools.run(["sh", "-c", "while :; do sleep 0.2; done; : $1", "sh", nothing_left], idle_timeout_s=0.3)


def test_a_program_that_speaks_on_stderr_is_not_idle(tools):
    script = "for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.1; done"

    assert tools.run(["sh", "-c", script], idle_timeout_s=0.45).exit_code == 0


def test_a_missing_program_is_an_exit_code_with_a_reason(tools):
    result = tools.run(["no-such-program-here"])

    assert result.exit_code == 127
    assert "no-such-program-here" in result.stderr


def test_several_at_once_do_not_mix(tools):
    said: dict[int, list[bytes]] = {number: [] for number in range(4)}

    def run(number: int) -> None:
        tools.run(["sh", "-c", f"yes {number} | head -n 20000"], on_stdout=said[number].append)

    threads = [threading.Thread(target=run, args=(number,)) for number in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(b"".join(blocks) == f"{number}\n".encode() * 20000 for number, blocks in said.items())


def test_codecs_are_what_this_pg_dump_was_built_with(tools):
    told = subprocess.run(
        [postgres_binaries() / "pg_config", "--configure"], capture_output=True, text=True, check=True
    )

    assert tools.codecs() == {"none"} | {
        codec
        for codec, option in (("gzip", "--without-zlib"), ("lz4", "--with-lz4"), ("zstd", "--with-zstd"))
        if (option in told.stdout) == option.startswith("--with-")
    }


def test_the_version_is_pg_dumps(tools):
    assert tools.version() == "18.6"


def test_a_file_is_placed_where_it_is(tools, tmp_path):
    archive = tmp_path / "archive"
    archive.write_bytes(b"x")

    with tools.place(archive) as placed:
        assert Path(placed).read_bytes() == b"x"
    with pytest.raises(ArchiveUnwritable), tools.place(tmp_path / "missing"):
        pass


@pytest.mark.postgres
@pytest.mark.parametrize("options", [(), (("application_name", "it's \\ odd"), ("sslmode", "disable"))])
def test_the_connection_arguments_reach_the_database(fresh_database, options):
    tools = LocalTools(postgres_binaries(), replace(fresh_database, options=options))
    said: list[bytes] = []

    result = tools.run(
        ["psql", "-AtX", *tools.connection_arguments(fresh_database.database), "-c",
         "SELECT current_database(), current_setting('application_name')"],
        password=tools.server_password(), on_stdout=said.append,
    )  # fmt: skip

    name = dict(options).get("application_name", "psql")
    assert (result.exit_code, b"".join(said).decode()) == (0, f"{fresh_database.database}|{name}\n")


OWNER = """\
import subprocess, sys
from ops.adapters.local_tools import LocalTools
from ops.model.secret import Secret
from pathlib import Path
password = Secret(sys.stdin.readline().strip())
LocalTools(Path(sys.argv[1]), None).run(["pg_dump", *sys.argv[2:]], password=password)
"""
DUMPS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump' AND datname = current_database()"


@pytest.mark.postgres
def test_a_dump_whose_owner_was_killed_leaves_no_session_at_the_server(fresh_database):
    arguments = LocalTools(postgres_binaries(), fresh_database).connection_arguments(fresh_database.database)
    with (
        connect(fresh_database) as session,
        connect(fresh_database, autocommit=False) as holder,
        subprocess.Popen(
            [sys.executable, "-c", OWNER, postgres_binaries(), *arguments], cwd=ROOT, stdin=subprocess.PIPE
        ) as owner,
    ):

        def dumps() -> int:
            return int((session.execute(DUMPS).fetchone() or (0,))[0])

        session.execute("CREATE TABLE t AS SELECT 1")
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert owner.stdin is not None
        owner.stdin.write(f"{fresh_database.password.reveal()}\n".encode())
        owner.stdin.flush()
        assert wait_until(lambda: dumps() == 1, 20), "the dump never waited for the lock"

        owner.kill()

        assert wait_until(lambda: dumps() == 0, 20), "the dump outlived its owner"


def test_reaping_ends_a_program_whose_wrapper_was_killed(tools):
    run_id = f"test-{secrets.token_hex(6)}"
    with subprocess.Popen(wrap(["sleep", "60"], run_id=run_id), stdin=subprocess.PIPE) as wrapper:
        assert wrapper.stdin is not None
        wrapper.stdin.write(b"\n")
        wrapper.stdin.flush()
        assert wait_until(lambda: Path(pid_file(run_id)).exists() and Path(pid_file(run_id)).read_text().strip(), 10)
        program = mark_of(int(Path(pid_file(run_id)).read_text()))
        assert program is not None

        before = tools.reap()
        assert not [found for found in before if run_id in found]
        wrapper.kill()
        wrapper.wait()
        found = tools.reap()

        assert [text for text in found if run_id in text] == [
            f"program of run {run_id} (pid {program.pid}), whose owner was killed"
        ]
        assert wait_until(lambda: not program.is_alive(), 10)
        assert not Path(pid_file(run_id)).exists()


def test_reaping_forgets_a_run_that_is_over_and_touches_no_stranger(tools):
    run_id = f"test-{secrets.token_hex(6)}"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        Path(pid_file(run_id)).write_text(f"{stranger.pid}\n")

        found = tools.reap()

        assert f"pid file of run {run_id}, whose program is gone" in found
        assert stranger.poll() is None
        stranger.kill()
