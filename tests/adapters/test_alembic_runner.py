"""Does the Alembic program end with whoever started it, and run from its source alone?"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_container, run_in_tree
from ops.errors import ConfigurationError, UpgradeFailed
from ops.model.compose.project import Service, Stack
from ops.model.endpoint import SqliteEndpoint
from tests.adapters.postgres.frozen_relay import Relay
from tests.alembic_project import READS_ENVIRONMENT, AlembicProject
from tests.conftest import connect

pytestmark = pytest.mark.postgres
REPOSITORY = Path(__file__).parents[2]
LIMITS = {"lock_timeout_s": 5.0, "statement_timeout_s": 60.0}
SLOW = "op.create_table('t_b', sa.Column('id', sa.Integer))\nop.execute('SELECT pg_sleep(120)')"

PARENT = """
import json, sys
from pathlib import Path
from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_tree
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
folder, host, port, user, password, database = json.loads(sys.stdin.readline())
endpoint = PostgresEndpoint(host, port, user, Secret(password), database)
migrator = AlembicMigrator(run_in_tree(Path(folder)), endpoint)
migrator.upgrade_each(["a", "b"], lock_timeout_s=5, statement_timeout_s=600)
"""


def until(holds, what, tries=200):
    for _ in range(tries):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


def test_kill_9_of_the_parent_in_the_middle_of_a_revision_leaves_nothing_of_it(tmp_path, fresh_database):
    import json

    project = AlembicProject(tmp_path)
    project.revision("a", up="op.create_table('t_a', sa.Column('id', sa.Integer))")
    project.revision("b", "a", up=SLOW)
    end = fresh_database
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=REPOSITORY, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    request = [str(tmp_path), end.host, end.port, end.user, end.password.reveal(), end.database]
    parent.stdin.write(json.dumps(request).encode() + b"\n")
    parent.stdin.flush()
    busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'ops-migrate'"
    with connect(end) as session:

        def backends(more=""):
            return session.execute(busy + more, [end.database]).fetchone()[0]

        until(lambda: backends(" AND query LIKE 'SELECT pg_sleep%%' AND state = 'active'"), "the revision sleeps")
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdin.close()
        until(lambda: backends() == 0, "the server ended the orphan's statement")
        versions = session.execute("SELECT version_num FROM alembic_version").fetchall()
        left = session.execute("SELECT to_regclass('t_a'), to_regclass('t_b')").fetchone()

    assert versions == [("a",)]
    assert left == ("t_a", None)


def test_a_server_that_answers_nothing_ends_a_revision_and_a_slow_one_does_not(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.revision("a", up="op.execute('SELECT pg_sleep(4)')")
    project.revision("b", "a", up=SLOW)
    with contextlib.closing(Relay(fresh_database)) as relay, connect(fresh_database) as session:
        endpoint = replace(fresh_database, host="127.0.0.1", port=relay.port, silence_s=1.0)
        migrator = AlembicMigrator(run_in_tree(tmp_path), endpoint)
        sleeps = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'SELECT pg_sleep(120)%%'"

        def freeze_in_the_second() -> None:
            until(lambda: session.execute(sleeps, [fresh_database.database]).fetchone()[0], "b sleeps", tries=1200)
            relay.freeze()

        freezing = threading.Thread(target=freeze_in_the_second)
        freezing.start()
        with pytest.raises(UpgradeFailed, match="alembic stalled and was ended") as failure:
            migrator.upgrade_each(["a", "b"], **LIMITS)
        freezing.join()
        versions = session.execute("SELECT version_num FROM alembic_version").fetchall()

    assert failure.value.cause == "the server answered nothing for 1 s"
    assert versions == [("a",)]


def test_a_revision_behind_a_proxy_that_hangs_up_on_the_question_is_waited_for(tmp_path, fresh_database):
    AlembicProject(tmp_path).revision("a", up="op.execute('SELECT pg_sleep(3)')")
    without_asking = (("sslmode", "disable"), ("gssencmode", "disable"))
    with contextlib.closing(Relay(fresh_database)) as relay:
        relay.hangs_up_on = struct.pack("!ii", 8, 80877103)
        endpoint = replace(fresh_database, host="127.0.0.1", port=relay.port, silence_s=0.5, options=without_asking)

        AlembicMigrator(run_in_tree(tmp_path), endpoint).upgrade_each(["a"], **LIMITS)

    with connect(fresh_database) as session:
        assert session.execute("SELECT version_num FROM alembic_version").fetchall() == [("a",)]


class ProcessEngine:
    """An engine whose one-off container is a process that knows only what a container would be given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = []

    def run_once(self, stack, service, argv, *, stdin, stdout, stderr, environment=None):
        self.seen = argv
        process = subprocess.Popen(
            [sys.executable, *argv[1:]], cwd=self.folder, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = process.communicate()
        stdout.write(out[:100])
        stdout.write(out[100:])
        stderr.write(err)
        return process.returncode


def test_the_programs_source_alone_runs_in_the_deployed_image(tmp_path, fresh_database):
    project = AlembicProject(tmp_path, env=READS_ENVIRONMENT)
    project.three_tables()
    engine = ProcessEngine(tmp_path)
    stack = Stack("opstest", tmp_path, (), {})
    migrator = AlembicMigrator(run_in_container(engine, stack, Service("app", image="app")), fresh_database)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    migrator.upgrade_each(["a", "b", "c"], **LIMITS)
    current = migrator.current()

    assert current == ("c",)
    assert engine.seen[:2] == ["python", "-c"]
    assert fresh_database.password.reveal() not in " ".join(engine.seen)
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_program_that_dies_without_an_answer_is_an_error_with_its_last_words(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.revision(
        "a", up="import os, sys\nsys.stderr.write('last words')\nsys.stderr.flush()\nos.kill(os.getpid(), 9)"
    )

    with pytest.raises(UpgradeFailed) as caught:
        AlembicMigrator(run_in_tree(tmp_path), fresh_database).upgrade("a", **LIMITS)

    assert caught.value.message == "alembic ended with exit code -9 without an answer"
    assert "last words" in str(caught.value.cause)


def test_an_env_py_that_exits_or_leaves_threads_does_not_hang_or_hide_the_failure(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.revision(
        "a", up="import threading, time, sys\nthreading.Thread(target=time.sleep, args=(60,)).start()\nsys.exit(0)"
    )

    with pytest.raises(UpgradeFailed, match="revision a failed") as caught:
        AlembicMigrator(run_in_tree(tmp_path), fresh_database).upgrade("a", **LIMITS)

    assert caught.value.cause == "SystemExit: 0"


def test_what_an_engine_puts_before_the_request_is_passed_over(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    start = run_in_tree(tmp_path)

    def with_body_of_the_attach(request, on_stdout):
        return start(b"{}" + request, on_stdout)

    assert AlembicMigrator(with_body_of_the_attach, fresh_database).history().heads == ("c",)


def test_two_processes_that_wait_answer_two_requests_and_end_with_the_runner(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("a", up="op.create_table('t_a', sa.Column('id', sa.Integer))")
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    migrator = AlembicMigrator(run_in_tree(tmp_path, is_twice=True), SqliteEndpoint(tmp_path / "file.db"))

    first = migrator.history()
    waiting = _children(tmp_path)
    second = migrator.history()
    third = migrator.history()

    assert first == second == third
    assert len(waiting) == 1
    assert _children(tmp_path) == set()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors

    migrator = AlembicMigrator(run_in_tree(tmp_path, is_twice=True), SqliteEndpoint(tmp_path / "file.db"))
    migrator.history()
    assert len(_children(tmp_path)) == 1
    del migrator
    gc.collect()
    assert _children(tmp_path) == set()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_neither_of_two_processes_sees_what_a_project_did_in_the_other(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("a", up="import sys\nassert not hasattr(sys, 'seen')\nsys.seen = True")
    run = run_in_tree(tmp_path, is_twice=True)

    for name in ("one.db", "two.db", "three.db"):
        migrator = AlembicMigrator(run, SqliteEndpoint(tmp_path / name))
        migrator.upgrade("a", **LIMITS)
        assert migrator.current() == ("a",)


def test_the_second_process_too_tells_how_it_ended(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.revision(
        "a", up="import os, sys\nsys.stderr.write('last words')\nsys.stderr.flush()\nos.kill(os.getpid(), 9)"
    )
    migrator = AlembicMigrator(run_in_tree(tmp_path, is_twice=True), fresh_database)
    migrator.history()

    with pytest.raises(UpgradeFailed) as caught:
        migrator.upgrade("a", **LIMITS)

    assert caught.value.message == "alembic ended with exit code -9 without an answer"
    assert "last words" in str(caught.value.cause)


KILLED = """
import sys
from pathlib import Path
from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_tree
from ops.model.endpoint import SqliteEndpoint
folder = Path(sys.argv[1])
migrator = AlembicMigrator(run_in_tree(folder, is_twice=True), SqliteEndpoint(folder / "file.db"))
migrator.history()
migrator.upgrade("a", lock_timeout_s=5, statement_timeout_s=60)
"""


def test_the_second_process_too_ends_at_once_when_we_are_killed(tmp_path):
    AlembicProject(tmp_path).revision(
        "a", up="import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(2)\npathlib.Path('done').touch()"
    )
    parent = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[2])
    while not (tmp_path / "begun").exists():
        assert parent.poll() is None
        time.sleep(0.02)

    parent.kill()
    parent.wait()
    time.sleep(3)

    assert _children(tmp_path) == set()
    assert not (tmp_path / "done").exists()


def test_two_processes_start_where_our_own_stdin_is_closed(tmp_path):
    AlembicProject(tmp_path).revision("a", up="pass")

    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" "$2" <&-', sys.executable, KILLED, str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_two_processes_that_cannot_start_leave_nothing_open(tmp_path):
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(ConfigurationError, match="cannot run"):
        run_in_tree(tmp_path, python="/nowhere/python", is_twice=True)

    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def _children(project) -> set[int]:
    """Processes that run the Alembic program in this folder; a twin is no child of ours."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cwd").resolve() == project and b"alembic_program" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found
