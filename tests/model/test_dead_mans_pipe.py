"""Does a program under the dead man's pipe behave like itself, and end with whoever wanted it?"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.model.dead_mans_pipe import RUN_VARIABLE, pid_file, wrap

SHELLS = {
    "sh": ("sh",),
    "bash": ("bash", "--posix"),
    "busybox": ("busybox", "sh"),
}

HOLDER = """\
import subprocess, sys
tool = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
tool.stdin.write(b"\\n")
tool.stdin.flush()
tool.wait()
"""


@pytest.fixture(params=[name for name, argv in SHELLS.items() if shutil.which(argv[0])])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SHELLS[request.param]


@pytest.fixture
def run_id() -> Iterator[str]:
    name = f"test-{secrets.token_hex(6)}"
    yield name
    # Eventually: another test's reaper may take away the pid file of a program that just ended, before its shell does.
    _eventually(lambda: not Path(pid_file(name)).exists(), "a pid file was left behind")
    _eventually(lambda: not any(name in _command_line(pid) for pid in _processes()), "processes were left behind")


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _eventually(condition, what: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def start(shell: tuple[str, ...], argv: tuple[str, ...], run_id: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (*shell, *wrap(argv, run_id=run_id)[1:]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes], first_line: bytes = b"\n") -> tuple[int, bytes, bytes]:
    """Hold the pipe until the program ended by itself."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(first_line)
    process.stdin.flush()
    out, err = process.stdout.read(), process.stderr.read()
    code = process.wait()
    with process:
        return code, out, err


def test_stdout_stderr_and_the_exit_code_are_the_programs_own(shell, run_id):
    process = start(shell, ("sh", "-c", "printf out; printf err >&2; exit 7"), run_id)

    assert finish(process) == (7, b"out", b"err")


def test_a_signal_becomes_128_plus_its_number(shell, run_id):
    code, _, _ = finish(start(shell, ("sh", "-c", "kill -KILL $$"), run_id))

    assert code == 128 + signal.SIGKILL


def test_a_missing_program_ends_with_127(shell, run_id):
    code, _, err = finish(start(shell, ("no-such-program-here",), run_id))

    assert code == 127
    assert b"no-such-program-here" in err


@pytest.mark.parametrize("word", ["two words", "quo'te", 'dou"ble', "$HOME", "`id`", "back\\slash", "-n", "", "*"])
def test_arguments_arrive_unchanged(shell, run_id, word):
    _, out, _ = finish(start(shell, ("printf", "[%s]", word), run_id))

    assert out == f"[{word}]".encode()


@pytest.mark.parametrize("password", ["secret", " two words ", "back\\slash", "it's $HOME `id`", "grün"])
def test_the_first_line_becomes_the_password(shell, run_id, password):
    process = start(shell, ("sh", "-c", 'printf %s "$PGPASSWORD"'), run_id)

    assert finish(process, f"{password}\n".encode())[1] == password.encode()


def test_an_empty_first_line_removes_a_password_from_the_environment(shell, run_id, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "from-outside")

    process = start(shell, ("sh", "-c", 'printf %s "${PGPASSWORD-unset}"'), run_id)

    assert finish(process)[1] == b"unset"


def test_the_program_reads_nothing_of_the_pipe(shell, run_id):
    process = start(shell, ("cat",), run_id)

    assert finish(process, b"\nthis is not for the program\n") == (0, b"", b"")


def test_the_program_knows_its_run(shell, run_id):
    process = start(shell, ("sh", "-c", f'printf %s "${RUN_VARIABLE}"'), run_id)

    assert finish(process)[1] == run_id.encode()


def test_the_pid_file_holds_the_programs_own_process_id_while_it_runs(shell, run_id):
    code, out, _ = finish(start(shell, ("sh", "-c", f"echo $$; cat {pid_file(run_id)}"), run_id))

    own, filed = out.split()
    assert code == 0
    assert own == filed


def test_a_link_at_the_pid_files_place_is_not_written_through(shell, run_id, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(pid_file(run_id)).symlink_to(victim)

    code, _, _ = finish(start(shell, ("true",), run_id))

    assert code == 0
    assert victim.read_text() == "precious"


def test_a_program_that_ends_at_once_never_hangs(shell, run_id):
    for index in range(40):
        code, _, _ = finish(start(shell, ("sh", "-c", "exit 3"), run_id))
        assert code == 3, f"round {index}"


def test_large_output_arrives_whole(shell, run_id):
    code, out, _ = finish(start(shell, ("head", "-c", "5000000", "/dev/zero"), run_id))

    assert (code, len(out)) == (0, 5_000_000)


def test_a_pipe_closed_before_its_first_line_starts_nothing(shell, run_id):
    process = start(shell, ("echo", "started"), run_id)

    out, _ = process.communicate()

    assert (process.returncode, out) == (143, b"")


def test_closing_the_pipe_ends_the_program(shell, run_id):
    process = start(shell, ("sh", "-c", "echo $$; exec sleep 600"), run_id)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()

    process.communicate()

    assert process.returncode == 128 + signal.SIGTERM


def test_letting_go_of_all_streams_ends_the_program_and_leaves_nothing(shell, run_id):
    with start(shell, ("yes",), run_id) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.read(1)

        for stream in (process.stdout, process.stderr, process.stdin):
            stream.close()
        process.wait()

    assert process.returncode in {128 + signal.SIGTERM, 128 + signal.SIGPIPE}


def test_a_program_that_ignores_the_request_is_killed(shell, run_id):
    process = start(shell, ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.2; done"), run_id)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()

    process.communicate()

    assert process.returncode == 128 + signal.SIGKILL


def test_killing_whoever_holds_the_pipe_ends_the_program(shell, run_id, tmp_path):
    command = (*shell, *wrap(("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 600"), run_id=run_id)[1:])
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, *command], start_new_session=True)
    _eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "it never started")
    pid = int((tmp_path / "pid").read_text())

    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()

    _eventually(lambda: "sleep" not in _command_line(pid), "the program outlived its owner")
    _eventually(lambda: not Path(pid_file(run_id)).exists(), "the pid file outlived the program")


@pytest.mark.parametrize("run_id", ["", "a/b", "../x", "a b", "x;y", "-x"])
def test_a_run_id_that_a_shell_or_a_path_could_misread_is_refused(run_id):
    with pytest.raises(ValueError, match="not a run id"):
        wrap(("true",), run_id=run_id)


def test_nothing_to_run_is_refused():
    with pytest.raises(ValueError, match="no program"):
        wrap((), run_id="x")


SLOW_TO_END = """\
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), os._exit(1)))
time.sleep(30)
"""

LIKE_A_POSTMASTER = """\
import ctypes, os, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans below become this process's children
for pause_s in (0.05, 0.3, 0.6):
    tool = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
    tool.stdin.write(b"\\n")
    tool.stdin.flush()
    time.sleep(pause_s)
    tool.stdin.close()
    tool.wait()
while True:
    try:
        pid, status = os.waitpid(-1, 0)
    except ChildProcessError:
        break
    if status not in {0, 1 << 8}:
        print(pid, "ended with", status)
"""


def test_no_orphan_dies_of_a_signal_or_with_an_error(shell: tuple[str, ...], run_id: str) -> None:
    """A postmaster that is a container's first process takes such an orphan for a crashed backend, and restarts."""
    argv = wrap([sys.executable, "-S", "-c", SLOW_TO_END], run_id=run_id)

    done = subprocess.run(
        [sys.executable, "-c", LIKE_A_POSTMASTER, *shell, *argv[1:]],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == ""
