"""What stays beside a service's process after `inv up` has ended?

A keeper: one small process a service, in a session of its own. It holds the service's lock (so nothing starts twice,
whoever tries from wherever), writes down what it started before it says so, stamps each line of output with its
time, passes SIGTERM on as the service's own stop signal, and records the exit code. It restarts nothing.

The parent gets one word on stdout: `started`, `running` (somebody else holds the lock), or why it could not start.
A kill of the parent at any moment leaves a service that is recorded, or none; on Linux a kill of the keeper ends the
service too. Standard library only; the service's environment is the keeper's own, so no secret is in any argv.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

from ops.adapters.embedded.process_mark import mark_of

LOG_LIMIT_BYTES = 10 * 1024 * 1024
"""A log that grew so far is kept once as `.1` and begun anew."""
STARTED = "started"
RUNNING = "running"
_LINE_LIMIT_BYTES = 16 * 1024
_LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a keeper is to start; goes through argv, so nothing in it is secret."""

    argv: tuple[str, ...]
    cwd: str
    record: str
    lock: str
    log: str
    stop_signal: int
    """First thing that the process gets on a stop, `last_signal` after `grace_s`."""
    last_signal: int
    grace_s: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Carried into the record: whatever whoever starts wants to find there."""


def launch(plan: Plan, environment: Mapping[str, str]) -> str:
    """Start a keeper and wait for its word, which is returned."""
    root = str(Path(__file__).resolve().parents[3])
    boot = f"import sys; sys.path.append({root!r}); from ops.adapters.embedded.keeper import main; main()"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", boot, json.dumps(asdict(plan))],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd="/",
    )
    return told.stdout.decode(errors="replace") or told.stderr.decode(errors="replace").strip() or "no answer"


def main() -> None:
    """Fork: the first process waits for the word, the second one keeps the service."""
    plan = Plan(**json.loads(sys.argv[1]))
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as words:
            sys.stdout.write(words.read().decode())
        return
    os.close(reader)
    os.setsid()
    _leave_parents_streams()
    try:
        _keep(plan, writer)
    finally:
        os._exit(0)


def _leave_parents_streams() -> None:
    empty = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(empty, stream)


def _tell(writer: int, word: str) -> None:
    with suppress(OSError):
        os.write(writer, word.encode())
    os.close(writer)


def _keep(plan: Plan, writer: int) -> None:
    lock = os.open(plan.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _tell(writer, RUNNING)
        return
    with _Log(Path(plan.log)) as log:
        woken = _wake_on(signal.SIGCHLD, signal.SIGTERM)
        try:
            child = _start(plan)
        except OSError as exc:
            _tell(writer, f"{plan.argv[0]}: {exc.strerror}")
            return
        record = _record(plan, child.pid)
        _write(Path(plan.record), record)
        _tell(writer, STARTED)
        _attend(plan, child, woken, log)
        _kill_group(child.pid)
        code = child.returncode
        record["exit_code"] = code if code >= 0 else 128 - code
        record["finished_at"] = datetime.now(UTC).isoformat()
        _write(Path(plan.record), record)


def _start(plan: Plan) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        plan.argv,
        cwd=plan.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )


def _record(plan: Plan, pid: int) -> dict[str, Any]:
    service, keeper = mark_of(pid), mark_of(os.getpid())
    return {
        "pid": pid,
        "began": service.began if service else "",
        "keeper_pid": os.getpid(),
        "keeper_began": keeper.began if keeper else "",
        "started_at": datetime.now(UTC).isoformat(),
        "exit_code": None,
        "finished_at": None,
        "facts": dict(plan.facts),
    }


def _write(path: Path, record: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with suppress(OSError):  # a full disk must not end the service
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(record, stream)
        partial.replace(path)


def _wake_on(*numbers: signal.Signals) -> int:
    """A descriptor that can be read once a signal came, each byte its number."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _attend(plan: Plan, child: subprocess.Popen[bytes], woken: int, log: _Log) -> None:
    """Copy output until the process has ended and all it said was read."""
    assert child.stdout is not None
    assert child.stderr is not None
    stop_at: float | None = None
    end_at: float | None = None
    with selectors.DefaultSelector() as ready:
        ready.register(woken, selectors.EVENT_READ)
        ready.register(child.stdout, selectors.EVENT_READ, "o")
        ready.register(child.stderr, selectors.EVENT_READ, "e")
        while len(ready.get_map()) > 1 or child.poll() is None:
            due = [moment for moment in (stop_at, end_at) if moment is not None]
            for key, _ in ready.select(max(0.0, min(due) - time.monotonic()) if due else None):
                if key.data is None:
                    if signal.SIGTERM in os.read(woken, 4096) and stop_at is None:
                        child.send_signal(plan.stop_signal)
                        stop_at = time.monotonic() + plan.grace_s
                elif not log.copy(key.fd, key.data):
                    ready.unregister(key.fileobj)
            now = time.monotonic()
            if stop_at is not None and now >= stop_at and child.poll() is None:
                child.send_signal(plan.last_signal)
                stop_at = now + plan.grace_s
            if child.poll() is not None:
                end_at = end_at or now + _LAST_WORDS_S
                if now >= end_at:
                    return


def _kill_group(pid: int) -> None:
    """What the process left behind in its session's group ends with it, as it would in a container."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class _Log:
    """A file of lines `TIME o TEXT` (stdout) and `TIME e TEXT` (stderr), bounded in size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest: dict[str, bytes] = {"o": b"", "e": b""}
        self._stream: IO[bytes] = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for kind, rest in self._rest.items():
            self._append(kind, [rest] if rest else [])
        self._stream.close()

    def copy(self, descriptor: int, kind: str) -> bool:
        """Take what there is to read; False at its end."""
        block = os.read(descriptor, 65536)
        *lines, rest = (self._rest[kind] + block).split(b"\n")
        if len(rest) > _LINE_LIMIT_BYTES or not block:
            lines, rest = [*lines, *([rest] if rest else [])], b""
        self._rest[kind] = rest
        self._append(kind, lines)
        return bool(block)

    def _append(self, kind: str, lines: Sequence[bytes]) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        with suppress(OSError):  # a full disk must not stop the service
            for line in lines:
                self._stream.write(f"{now} {kind} ".encode() + line.rstrip(b"\r") + b"\n")
            if self._stream.tell() > LOG_LIMIT_BYTES:
                self._stream.close()
                self._path.replace(self._path.with_suffix(".log.1"))
                self._stream = self._open()

    def _open(self) -> IO[bytes]:
        return os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)
