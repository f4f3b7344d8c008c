"""Do PostgreSQL's programs run in the database's container, whole or not at all, and never longer than we live?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ops.adapters.docker import placing, reaper, streaming
from ops.adapters.docker.tool_output import ToolOutput
from ops.adapters.docker.tools import DockerTools
from ops.errors import ArchiveCorrupt, ArchiveUnwritable, DeadlinePassed, EngineUnreachable, UnknownService
from ops.model.secret import Secret

from .conftest import docker, wait_for
from .relay import LEAKS, Relay, relayed_engine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tools(database) -> DockerTools:
    engine, stack = database
    return engine.tools(stack, "db")


def container_of(database) -> str:
    engine, stack = database
    return engine.status(stack, "db").container_id


def processes(database, words: str) -> list[str]:
    listed = docker("top", container_of(database), "-eo", "pid,args").splitlines()
    return [line for line in listed if words in line and "ops-tool" not in line]


def files(database) -> list[str]:
    return docker("exec", container_of(database), "sh", "-c", "ls /tmp | grep ops- || :").split()


def test_a_dump_is_what_pg_dump_writes(tools: DockerTools, tmp_path: Path) -> None:
    blocks: list[bytes] = []

    result = tools.run(
        ["pg_dump", "--format=custom", "--compress=zstd:1", *tools.connection_arguments("pile")],
        on_stdout=blocks.append, password=tools.server_password(),
    )  # fmt: skip

    dump = b"".join(blocks)
    assert (result.exit_code, result.stderr) == (0, "")
    assert dump.startswith(b"PGDMP")
    assert b"ops-tool-end" not in dump


def test_python_reaches_the_same_database(database) -> None:
    engine, stack = database
    endpoint = engine.database_endpoint(stack, "db")

    with psycopg.connect(
        host=endpoint.host, port=endpoint.port, user=endpoint.user, password=endpoint.password.reveal(),
        dbname=endpoint.database,
    ) as session:  # fmt: skip
        row = session.execute("SELECT current_user, current_database()").fetchone()

    assert row == ("comic", "pile")


def test_exit_code_and_errors_of_a_failed_program_are_told(tools: DockerTools) -> None:
    result = tools.run(["pg_dump", *tools.connection_arguments("nonesuch")], password=tools.server_password())

    assert result.exit_code == 1
    assert 'database "nonesuch" does not exist' in result.stderr


def test_a_missing_program_gives_127(tools: DockerTools) -> None:
    assert tools.run(["nonesuch"]).exit_code == 127


def test_the_password_is_neither_in_argv_nor_in_what_the_engine_shows(tools: DockerTools, database) -> None:
    seen: list[bytes] = []

    tools.run(
        ["sh", "-c", 'echo "$PGPASSWORD"; cat /proc/*/cmdline'], on_stdout=seen.append, password=Secret("s3same-open")
    )

    first, _, commands = b"".join(seen).partition(b"\n")
    assert first == b"s3same-open"
    assert b"s3same-open" not in commands
    assert "s3same-open" not in docker("inspect", container_of(database))


def test_the_server_tells_its_version_and_codecs(tools: DockerTools) -> None:
    assert tools.version().split(".")[0] == "17"
    assert {"none", "gzip", "zstd"} <= tools.codecs()


def test_output_arrives_byte_for_byte_around_the_marker(tools: DockerTools) -> None:
    for size in (0, 1, 44, 45, 46, 32768, 1_000_003):
        blocks: list[bytes] = []
        tools.run(["head", "-c", str(size), "/dev/zero"], on_stdout=blocks.append)
        assert b"".join(blocks) == bytes(size)


def test_a_program_that_says_nothing_for_too_long_is_ended(tools: DockerTools, database) -> None:
    with pytest.raises(DeadlinePassed):
        tools.run(["sh", "-c", "echo on; exec sleep 4711"], idle_timeout_s=0.5)

    assert processes(database, "sleep 4711") == []
    assert files(database) == []


def test_what_the_receiver_raises_ends_the_program(tools: DockerTools, database) -> None:
    def refuse(block: bytes) -> None:
        raise ArchiveUnwritable("disk full")

    with pytest.raises(ArchiveUnwritable):
        tools.run(["sh", "-c", "echo on; exec sleep 4712"], on_stdout=refuse)

    assert processes(database, "sleep 4712") == []


def test_a_receiver_that_is_slow_slows_the_program_down(tools: DockerTools, database) -> None:
    """Nothing between the program and us swallows what we do not take."""
    may_go_on = threading.Event()
    written = threading.Event()

    def hold(block: bytes) -> None:
        written.set()
        assert may_go_on.wait(60)

    worker = threading.Thread(target=lambda: tools.run(["head", "-c", str(64 << 20), "/dev/zero"], on_stdout=hold))
    worker.start()
    assert written.wait(30)
    still_there = processes(database, f"head -c {64 << 20}")
    may_go_on.set()
    worker.join()

    assert still_there


@pytest.fixture
def relayed(database, tmp_path: Path) -> Iterator[tuple[Relay, DockerTools]]:
    with relayed_engine(tmp_path) as (relay, engine):
        yield relay, engine.tools(database[1], "db")


@LEAKS
@pytest.mark.parametrize("after", [100_000, 5_000_000])
def test_a_cut_line_is_an_error_and_ends_the_program(database, relayed, after: int) -> None:
    relay, tools = relayed
    tools.version()
    relay.cut_after(after)

    with pytest.raises(EngineUnreachable):
        tools.run(["sh", "-c", "while :; do head -c 100000 /dev/zero; sleep 0.05; done"], on_stdout=lambda block: None)

    wait_for(lambda: not processes(database, "while :; do head"), "the program to be ended")


def test_a_cut_between_two_frames_is_an_error_too() -> None:
    """The engine still answers afterwards, the program ends well, and yet bytes are missing."""
    taken: list[bytes] = []
    output = ToolOutput(b"the-end", taken.append)
    for block in (b"some ", b"data ", b"the-e"):
        output.take(1, block)

    with pytest.raises(EngineUnreachable, match="cut"):
        output.refuse_a_cut("dump")


def test_killing_us_ends_the_program_and_leaves_no_lock(database) -> None:
    _, stack = database
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from ops.adapters.compose_files import read_stack\n"
        "from ops.adapters.docker.engine import DockerEngine\n"
        f"stack = read_stack([Path({str(stack.files[0])!r})], working_dir=Path({str(stack.working_dir)!r}),"
        " environment={}, env_file=None)\n"
        "tools = DockerEngine().tools(stack, 'db')\n"
        "print('on', flush=True)\n"
        "tools.run(['psql', *tools.connection_arguments('pile'), '-c', 'SELECT pg_sleep(4713)'],"
        " password=tools.server_password())\n"
    )
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    wait_for(lambda: processes(database, "pg_sleep(4713)"), "psql to run")

    program.send_signal(signal.SIGKILL)
    program.communicate()

    wait_for(lambda: not processes(database, "pg_sleep(4713)"), "psql to be ended", within_s=15)
    wait_for(lambda: not files(database), "its pid file to go", within_s=15)


def test_the_reaper_ends_what_a_dead_run_left_and_nothing_else(tools: DockerTools, database) -> None:
    container = container_of(database)
    dead = reaper.run_id().replace(f"-{os.getpid()}-", "-999999999-")
    alive, stranger = reaper.run_id(), f"m00000000-1-0-{'0' * 12}"
    for run, seconds in ((dead, 4714), (alive, 4715), (stranger, 4716)):
        docker(
            "exec", "-d", "-e", f"OPS_TOOL_RUN={run}", container,
            "sh", "-c", f"echo $$ >/tmp/ops-tool-{run}.pid; exec sleep {seconds}",
        )  # fmt: skip
        docker("exec", container, "touch", f"/tmp/ops-place-{run}")
    wait_for(lambda: all(processes(database, f"sleep {each}") for each in (4714, 4715, 4716)), "the programs to run")

    found = tools.reap()

    assert found == (f"/tmp/ops-place-{dead}", f"/tmp/ops-tool-{dead}.pid")
    assert not processes(database, "sleep 4714")
    assert processes(database, "sleep 4715")
    assert processes(database, "sleep 4716")
    assert len(files(database)) == 4
    assert tools.reap() == ()
    docker("exec", container, "sh", "-c", "kill $(cat /tmp/ops-tool-*.pid); rm /tmp/ops-*")


def test_the_reaper_ends_a_program_that_ignores_term(tools: DockerTools, database) -> None:
    container = container_of(database)
    dead = reaper.run_id().replace(f"-{os.getpid()}-", "-999999999-")
    script = f"trap '' TERM; echo $$ >/tmp/ops-tool-{dead}.pid; while :; do sleep 0.1; done # stubborn"
    docker("exec", "-d", "-e", f"OPS_TOOL_RUN={dead}", container, "bash", "-c", script)
    wait_for(lambda: "# stubborn" in docker("top", container), "the program to run")

    tools.reap()

    assert "# stubborn" not in docker("top", container)


def test_a_placed_file_is_the_same_file_and_goes_away(tools: DockerTools, database, tmp_path: Path) -> None:
    source = tmp_path / "archive"
    source.write_bytes(os.urandom(1 << 20) * 20)
    copied: list[bytes] = []

    with tools.place(source) as inside:
        mode = docker("exec", container_of(database), "stat", "-c", "%a", inside)
        tools.run(["cat", inside], on_stdout=copied.append)

    assert mode == "600"
    assert b"".join(copied) == source.read_bytes()
    assert files(database) == []


@pytest.mark.parametrize("program", ["dd", "head"])
def test_as_many_bytes_are_taken_as_were_asked_for(tmp_path: Path, program: str) -> None:
    """Also where `dd` does not know GNU's flags."""
    if program == "head":
        (tmp_path / "dd").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "dd").chmod(0o755)
    content = os.urandom(700_001)

    done = subprocess.run(
        ["sh", "-c", f"{placing.EXACTLY}\ntake 700000"],
        input=content,
        stdout=subprocess.PIPE,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )

    assert done.stdout == content[:-1]


def test_output_that_is_written_in_small_pieces_arrives_in_large_blocks(tools: DockerTools) -> None:
    blocks: list[bytes] = []

    tools.run(["dd", "if=/dev/zero", "bs=4K", "count=8192", "status=none"], on_stdout=blocks.append)

    assert len(b"".join(blocks)) == 32 << 20
    assert len(blocks) < 512


def test_a_stream_reaches_a_program_through_a_fifo_and_no_file_of_it_is_in_the_container(
    tools: DockerTools, database
) -> None:
    content = os.urandom(1 << 20) * 20
    copied: list[bytes] = []

    with tools.place_stream(iter([content[:7], b"", content[7:]]), len(content)) as inside:
        kind = docker("exec", container_of(database), "stat", "-c", "%a %F", inside)
        tools.run(["cat", inside], on_stdout=copied.append)

    assert kind == "600 fifo"
    assert b"".join(copied) == content
    assert files(database) == []


def test_a_stream_that_breaks_off_is_raised_and_one_that_nobody_reads_ends_too(tools: DockerTools, database) -> None:
    def broken():
        yield b"x" * 100_000
        raise ArchiveCorrupt("the archive is cut short")

    def read_it() -> None:
        with tools.place_stream(broken(), 1 << 30) as inside:
            tools.run(["cat", inside])

    with pytest.raises(ArchiveCorrupt, match="cut short"):
        read_it()
    with tools.place_stream(iter([b"x" * 100_000]), 100_000):
        pass

    assert files(database) == []


def test_a_file_without_room_is_refused_with_numbers(tools: DockerTools, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 43)

    with pytest.raises(ArchiveUnwritable, match=str(1 << 43)), tools.place(huge):
        pass


@contextmanager
def paused_once(database, condition: Callable[[], bool], what: str) -> Iterator[None]:
    """Pause the container from beside once something is so, and let it go on at the end."""
    container = container_of(database)  # asked while it runs: an engine may not say of a paused one

    def wait_and_pause() -> None:
        wait_for(condition, what)
        docker("pause", container)

    waiting = threading.Thread(target=wait_and_pause)
    waiting.start()
    try:
        yield
    finally:
        waiting.join()
        docker("unpause", container, check=False)


def test_an_archive_that_is_placed_in_a_container_which_is_paused_is_given_up(database, tmp_path: Path) -> None:
    engine, stack = database
    archive = tmp_path / "archive"
    with archive.open("wb") as file:
        file.truncate(8 << 30)
    tools = DockerTools(engine._database(stack, "db"), silence_s=1.5)

    with (
        paused_once(database, lambda: files(database) != [], "the first bytes to be there"),
        pytest.raises(DeadlinePassed, match="stalled and was ended") as failure,
        tools.place(archive),
    ):
        pass

    assert "its container has been paused" in (failure.value.cause or "")
    wait_for(lambda: processes(database, "dd bs=256K") == [], "the copy in the container to see our end")
    docker("exec", container_of(database), "sh", "-c", "rm -f /tmp/ops-place-*")


def test_ctrl_c_while_an_archive_is_streamed_into_a_container_that_is_paused_stays_a_ctrl_c(
    database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pause: engine 20.10 hangs where a health check meets one. What it says of one is put in its place."""
    engine, stack = database
    tools = DockerTools(engine._database(stack, "db"), silence_s=1.0)
    run, refused = streaming.execute.run, []

    def refusing_to_remove(connection, container, argv, **more):
        if streaming._REMOVE in argv:
            refused.append(argv)
            raise UnknownService("cannot remove", cause="Container is paused")
        return run(connection, container, argv, **more)

    monkeypatch.setattr(streaming.execute, "run", refusing_to_remove)
    with pytest.raises(KeyboardInterrupt), tools.place_stream(iter([b"x" * 7]), 7):  # noqa: PT012 - one stream
        wait_for(lambda: processes(database, "ops-place") != [], "the feeder to wait for its reader")
        raise KeyboardInterrupt
    assert len(refused) == 1

    release = "exec 3<>$(echo /tmp/ops-place-*/archive); rm -rf /tmp/ops-place-*"
    docker("exec", container_of(database), "sh", "-c", release)
    wait_for(lambda: processes(database, "ops-place") == [], "the feeder to go with its FIFO")


def test_a_silent_program_is_waited_for_and_given_up_once_its_container_is_paused(database) -> None:
    engine, stack = database
    tools = DockerTools(engine._database(stack, "db"), silence_s=1.0)

    assert tools.run(["sleep", "4"]).exit_code == 0
    with (
        paused_once(database, lambda: processes(database, "sleep 4712") != [], "the program to run"),
        pytest.raises(DeadlinePassed, match="stalled and was ended"),
    ):
        tools.run(["sleep", "4712"])

    wait_for(lambda: processes(database, "sleep 4712") == [], "the program to see our end")


def test_without_a_running_database_there_are_no_tools(bench) -> None:
    stack = bench.write("  db: {image: 'postgres:17', environment: {POSTGRES_PASSWORD: x}}")

    with pytest.raises(UnknownService, match="db is not running"):
        bench.engine.tools(stack, "db").version()
