"""Does a program in a container have real streams and its own exit code, whatever happens to it or to us?"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.adapters.docker.engine import DockerEngine
from ops.errors import EngineUnreachable, UnknownService
from ops.model.compose.project import Stack

from .conftest import docker, wait_for
from .relay import LEAKS, Relay, relayed_engine

pytestmark = pytest.mark.docker


def run(running: tuple[DockerEngine, Stack], *argv: str, **streams) -> tuple[int, bytes, bytes]:
    engine, stack = running
    stdout, stderr = io.BytesIO(), io.BytesIO()
    code = engine.execute(stack, "app", argv, stdout=stdout, stderr=stderr, **streams)
    return code, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def relayed(running, tmp_path: Path) -> Iterator[tuple[Relay, DockerEngine, Stack]]:
    with relayed_engine(tmp_path) as (relay, engine):
        yield relay, engine, running[1]


def test_output_errors_and_exit_code_are_told_apart(running) -> None:
    assert run(running, "sh", "-c", "echo out; echo err >&2; exit 7") == (7, b"out\n", b"err\n")


def test_arguments_are_not_read_by_a_shell(running) -> None:
    assert run(running, "printf", "%s|", "$HOME", "a b", "") == (0, b"$HOME|a b||", b"")


def test_environment_and_user_are_taken(running) -> None:
    code, out, _ = run(running, "sh", "-c", "echo $GREETING; id -u", environment={"GREETING": "hi there"}, user="65534")

    assert (code, out) == (0, b"hi there\n65534\n")


def test_64_mib_of_input_arrive_whole_and_end(running) -> None:
    data = os.urandom(1 << 20) * 64

    code, out, _ = run(running, "sha256sum", stdin=io.BytesIO(data))

    assert (code, out.split()[0].decode()) == (0, hashlib.sha256(data).hexdigest())


def test_a_program_that_answers_while_it_is_fed_does_not_block(running) -> None:
    data = os.urandom(1 << 20) * 16

    assert run(running, "cat", stdin=io.BytesIO(data)) == (0, data, b"")


def test_a_program_may_end_before_it_has_read_its_input(running) -> None:
    assert run(running, "sh", "-c", "head -c 3; exit 4", stdin=io.BytesIO(b"x" * (8 << 20))) == (4, b"xxx", b"")


def test_100_mib_of_output_need_no_memory(running) -> None:
    class Count:
        size = 0

        def write(self, block: bytes) -> None:
            self.size += len(block)

        def flush(self) -> None: ...

    engine, stack = running
    count = Count()
    engine.execute(stack, "app", ["true"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    code = engine.execute(stack, "app", ["head", "-c", str(100 << 20), "/dev/zero"], stdout=count)

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (code, count.size) == (0, 100 << 20)
    assert grown_kib < 16 * 1024


def test_a_missing_program_gives_127_and_says_so_on_stderr(running) -> None:
    code, out, err = run(running, "nonesuch", "x")

    assert (code, out) == (127, b"")
    assert b"nonesuch" in err


def test_a_program_that_is_killed_gives_128_and_its_signal(running) -> None:
    assert run(running, "sh", "-c", "kill -KILL $$")[0] == 137
    assert run(running, "sh", "-c", "kill -TERM $$")[0] == 143


def test_a_program_that_closes_its_output_early_still_gives_its_exit_code(running) -> None:
    assert run(running, "sh", "-c", "exec >&- 2>&-; sleep 0.5; exit 9") == (9, b"", b"")


def test_what_writing_the_output_raises_is_raised(running) -> None:
    class Full:
        def write(self, block: bytes) -> None:
            raise OSError(28, "No space left on device")

        def flush(self) -> None: ...

    engine, stack = running
    with pytest.raises(OSError, match="No space left"):
        engine.execute(stack, "app", ["echo", "hello"], stdout=Full())


def test_what_reading_the_input_raises_is_raised(running) -> None:
    class Broken:
        def read(self, size: int = -1) -> bytes:
            raise ValueError("this input is broken")

    engine, stack = running
    with pytest.raises(ValueError, match="this input is broken"):
        engine.execute(stack, "app", ["cat"], stdin=Broken(), stdout=io.BytesIO())


def test_a_service_that_does_not_run_is_named(bench) -> None:
    stack = bench.write()

    with pytest.raises(UnknownService, match="app is not running"):
        bench.engine.execute(stack, "app", ["true"])
    with pytest.raises(UnknownService, match="no service nonesuch"):
        bench.engine.execute(stack, "nonesuch", ["true"])


def test_a_container_that_is_killed_in_the_middle_ends_the_program_with_137(bench) -> None:
    stack = bench.write()
    bench.up(stack)
    started = io.BytesIO()
    killer = threading.Thread(
        target=lambda: (
            wait_for(lambda: started.getvalue() == b"on\n", "the program to start"),
            docker("kill", f"{bench.project}-app-1"),
        )
    )
    killer.start()

    code = bench.engine.execute(stack, "app", ["sh", "-c", "echo on; sleep 600"], stdout=started)

    killer.join()
    assert code == 137


@LEAKS
@pytest.mark.parametrize("after", [200_000, 3_000_000, 20_000_001])
def test_a_line_that_is_cut_in_the_middle_is_an_error(relayed, after: int) -> None:
    relay, engine, stack = relayed
    engine.status(stack, "app")
    relay.cut_after(after)

    with pytest.raises(EngineUnreachable):
        engine.execute(stack, "app", ["head", "-c", str(64 << 20), "/dev/zero"], stdout=io.BytesIO())


@LEAKS
def test_a_line_that_is_cut_while_nothing_is_said_is_an_error(relayed) -> None:
    relay, engine, stack = relayed
    started = io.BytesIO()

    def cut_when_it_runs() -> None:
        wait_for(lambda: started.getvalue() == b"on\n", "the program to start")
        relay.cut()

    thread = threading.Thread(target=cut_when_it_runs)
    thread.start()
    with pytest.raises(EngineUnreachable):
        engine.execute(stack, "app", ["sh", "-c", "echo on; sleep 5"], stdout=started)
    thread.join()


def test_a_shell_on_a_terminal_gets_a_terminal_and_gives_its_exit_code(running, tmp_path: Path) -> None:
    import pty

    engine, stack = running
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from ops.adapters.docker import terminal\n"
        "from ops.adapters.docker.client import Connection\n"
        f"code = terminal.run(Connection(), {engine.status(stack, 'app').container_id!r},"
        " ['sh', '-c', 'test -t 0; until stty size | grep 121; do sleep 0.1; done; read word; echo got-$word; exit 6'],"
        " doing='try a terminal')\n"
        "sys.exit(code)\n"
    )
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 121, 0, 0))
    program = subprocess.Popen([sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave, close_fds=True)
    os.close(slave)
    watchdog = threading.Timer(20, program.kill)
    watchdog.start()
    said = b""
    os.write(master, b"fig\n")
    try:
        while block := os.read(master, 4096):
            said += block
    except OSError:
        pass  # Linux's way to say that the other end is closed
    finally:
        watchdog.cancel()
        os.close(master)

    assert program.wait(20) == 6
    assert b"got-fig" in said
    assert b"33 121" in said
