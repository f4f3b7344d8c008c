"""What do the fault tests with containers share: a database service that a test may kill, on whichever engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from ops.adapters.docker.engine import DockerEngine
from ops.adapters.docker.tools import DockerTools
from ops.adapters.postgres.database import PostgresDatabase
from ops.errors import OpsError
from ops.model.compose.project import Stack as ComposeStack
from tests.adapters.docker.conftest import Bench, wait_for
from tests.adapters.postgres.restoring import STACK, Stack, make_stack
from tests.conftest import connect, free_port
from tests.faults.conftest import FILL, at_the_second_block, backup_within

DATABASE = """
  db:
    image: postgres:17
    restart: unless-stopped
    environment: {{POSTGRES_USER: comic, POSTGRES_DB: pile, POSTGRES_PASSWORD: opstest-secret}}
    ports: ["{address}:{port}:5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    {more}
    healthcheck:
      test: ["CMD-SHELL", "psql -h 127.0.0.1 -U comic -d pile -c 'SELECT 1'"]
      interval: 2s
      retries: 120
"""


def database_service(bench: Bench, more: str = "", address: str = "127.0.0.1") -> ComposeStack:
    """A healthy database service of the bench's project, which answers at an address."""
    stack = bench.write(DATABASE.format(address=address, port=free_port(), more=more), "volumes: {data: {}}")
    bench.up(stack)
    healthy(bench.engine, stack)
    return stack


def healthy(engine: DockerEngine, stack: ComposeStack) -> None:
    """Wait until the engine calls the database healthy and it answers: what the engine says may be from before."""

    def answers() -> bool:
        try:
            if engine.status(stack, "db").health != "healthy":
                return False
            with connect(engine.database_endpoint(stack, "db")) as session:
                return session.execute("SELECT 1").fetchone() == (1,)
        except (OpsError, psycopg.OperationalError):
            return False

    wait_for(answers, "the database to be healthy", within_s=120)


def filled(engine: DockerEngine, compose: ComposeStack, folder: Path) -> Stack:
    """The stack of a database service, with 40,000 rows and three indexes."""
    made = stack_on(engine, compose, folder)
    made.run("DROP TABLE IF EXISTS books, words", *FILL)
    for what in ("text", "md5(text)", "lower(text)"):
        made.run(f"CREATE INDEX ON books (({what}))")
    return made


def stack_on(engine: DockerEngine, compose: ComposeStack, folder: Path, silence_s: float = 300.0) -> Stack:
    """The actions' tools for a database service, its files in `folder`; a server silent for so long is given up."""
    endpoint = replace(engine.database_endpoint(compose, "db"), silence_s=silence_s)
    made = make_stack(endpoint, folder)
    tools = DockerTools(engine._database(compose, "db"), silence_s=silence_s)
    database = PostgresDatabase(endpoint, tools, stack=STACK, clock=made.tools.clock)
    return Stack(endpoint, database, replace(made.tools, database=database), made.report)


def books(stack: Stack) -> int:
    """How many books the live database has."""
    return int(stack.run("SELECT count(*) FROM books")[0][0])


AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, '{}__') AND query ~ 'COPY|CREATE INDEX'"


@dataclass(frozen=True)
class Ended:
    """How a backup or restore in a process of its own ended; `said` is empty where it succeeded."""

    code: int
    said: str


def restore_ending(
    stack: Stack, fault: Callable[[], object], *, within_s: float, engine: DockerEngine | None = None
) -> Ended:
    """Restore the newest backup in a process of its own, and let the fault happen once pg_restore is at work.

    From the fault's end to the restore's it may take `within_s`. `engine` is the one that the stack's tools speak to.
    """
    query = AT_WORK.format(stack.endpoint.database)

    def at_work() -> None:
        wait_for(lambda: stack.run(query, database="postgres") != [(0,)], "pg_restore to be at work")

    return _ending(lambda: stack.restore(is_latest=True), at_work, fault, within_s=within_s, engine=engine)


WAITS_FOR_A_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name ~ '^ops'"


def restore_ending_in(
    step_before: str, stack: Stack, fault: Callable[[], object], *, within_s: float, engine: DockerEngine
) -> Ended:
    """As `restore_ending`, but the fault happens in the step after the named one, which waits for a lock meanwhile."""
    held: list[psycopg.Connection] = []

    def hold(step: str) -> None:
        if step == step_before:
            scratch = next(copy.name for copy in stack.database.copies() if copy.role == "scratch")
            held.append(connect(stack.at(scratch), autocommit=False))
            held[0].execute("LOCK TABLE books IN ACCESS EXCLUSIVE MODE")

    holding = replace(stack, tools=replace(stack.tools, checkpoint=hold))
    return _ending(
        lambda: holding.restore(is_latest=True),
        lambda: _wait_for_a_lock(stack),
        fault,
        within_s=within_s,
        engine=engine,
    )


def dump_ending_at_its_locks(
    stack: Stack, fault: Callable[[], object], *, idle_timeout_s: float, within_s: float, engine: DockerEngine
) -> Ended:
    """Take a backup in a process of its own, and let the fault happen while it waits for a table, before pg_dump."""
    with closing(connect(stack.endpoint, autocommit=False)) as holder:  # the end of a transaction would be waited for
        holder.execute("LOCK TABLE books IN ACCESS EXCLUSIVE MODE")
        return _ending(
            lambda: backup_within(stack, lock_wait_s=600, idle_timeout_s=idle_timeout_s),
            lambda: _wait_for_a_lock(stack), fault, within_s=within_s, engine=engine,
        )  # fmt: skip


def _wait_for_a_lock(stack: Stack) -> None:
    wait_for(lambda: stack.run(WAITS_FOR_A_LOCK, database="postgres") != [(0,)], "our session to wait for a lock")


def dump_ending(stack: Stack, fault: Callable[[], object], *, within_s: float, engine: DockerEngine) -> Ended:
    """Take a backup in a process of its own, and let the fault happen while pg_dump has more to write."""
    came, went = os.pipe(), os.pipe()

    def work() -> None:
        def stand_still() -> None:
            os.write(came[1], b"here")
            os.read(went[0], 4)

        with at_the_second_block(stack, stand_still):
            stack.backup()

    def fault_and_go() -> None:
        fault()
        os.write(went[1], b"went")

    try:
        return _ending(work, lambda: os.read(came[0], 4), fault_and_go, within_s=within_s, engine=engine)
    finally:
        for each in (*came, *went):
            os.close(each)


def _ending(
    work: Callable[[], object],
    ready: Callable[[], object],
    fault: Callable[[], object],
    *,
    within_s: float,
    engine: DockerEngine | None,
) -> Ended:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            if engine is not None:
                engine.close()  # the parent's connections are not ours
            work()
            code = 0
        except OpsError as exc:
            os.write(writer, f"{exc.message}: {exc.cause}"[:4000].encode())
            code = exc.exit_code
        finally:
            os._exit(code)
    os.close(writer)
    try:
        ready()
        fault()
        wait_for(lambda: has_ended(child), "our process to end", within_s=within_s)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        with os.fdopen(reader, "rb") as said:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            ended = Ended(code, said.read().decode(errors="replace"))
    return ended


def has_ended(child: int) -> bool:
    """Whether a child is done; it is not waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
