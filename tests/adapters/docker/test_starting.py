"""Does starting a stack on a real engine end in what is true: ready, or a failure that says why?"""

from __future__ import annotations

import time

import psycopg
import pytest

from ops.actions.ask_login import Login
from ops.actions.start import start
from ops.adapters.postgres.login import check_login
from ops.adapters.system_clock import SystemClock
from ops.errors import DatabaseRefused, ServiceUnhealthy

from .conftest import SLEEPER, Bench

pytestmark = pytest.mark.docker


def up(bench: Bench, stack, timeout_s: float) -> None:
    login = Login("db", lambda: check_login(bench.engine.database_endpoint(stack, "db")))
    start(bench.engine, stack, clock=SystemClock(), report=bench.report, timeout_s=timeout_s, login=login)


def test_a_service_that_crashes_again_and_again_is_not_ready(bench: Bench) -> None:
    stack = bench.write(
        """
  app:
    image: python:3.13-slim
    command: ["sh", "-c", "echo going down; sleep 0.6; exit 3"]
    restart: unless-stopped
    stop_grace_period: 1s
"""
    )

    with pytest.raises(ServiceUnhealthy) as caught:
        up(bench, stack, 30)

    assert "app" in caught.value.message
    assert "going down" in (caught.value.cause or "")
    assert "3" in f"{caught.value.message} {caught.value.cause}"


def test_a_service_that_never_gets_healthy_fails_at_its_deadline(bench: Bench) -> None:
    stack = bench.write(SLEEPER + "    healthcheck: {test: ['CMD', 'false'], interval: 30s}")
    began = time.monotonic()

    with pytest.raises(ServiceUnhealthy, match="app"):
        up(bench, stack, 3)

    # The deadline is the contract; the rest of a slow machine's time is not.
    assert time.monotonic() - began >= 3


def test_a_one_shot_that_ends_well_lets_the_next_one_start_and_one_that_fails_does_not(bench: Bench) -> None:
    services = SLEEPER + "    depends_on: {job: {condition: service_completed_successfully}}\n"
    services += "  job: {image: 'python:3.13-slim', command: [sh, -c, 'exit CODE']}\n"

    up(bench, bench.write(services.replace("CODE", "0")), 60)
    first = bench.status(bench.read())
    bench.down(bench.read())
    stack = bench.write(services.replace("CODE", "5"))
    with pytest.raises(ServiceUnhealthy, match="5"):
        up(bench, stack, 60)

    assert first.state == "running"
    assert bench.status(stack).state == "absent"


def test_a_database_is_ready_only_when_python_can_use_it(bench: Bench) -> None:
    """The image's first start answers on its Unix socket long before it does on TCP."""
    from tests.conftest import free_port

    scripts = bench.folder / "first"
    scripts.mkdir()
    (scripts / "slow.sql").write_text("SELECT pg_sleep(3); CREATE TABLE made_at_first_start ();")
    stack = bench.write(
        f"""
  db:
    image: postgres:17
    environment: {{POSTGRES_USER: comic, POSTGRES_PASSWORD: secret, POSTGRES_DB: pile}}
    ports: ["127.0.0.1:{free_port()}:5432"]
    volumes: ["data:/var/lib/postgresql/data", "./first:/docker-entrypoint-initdb.d:ro"]
    healthcheck: {{test: ["CMD-SHELL", "pg_isready -h 127.0.0.1 -U comic -d pile"], interval: 300ms, retries: 100}}
""",
        "volumes: {data: {}}",
    )

    up(bench, stack, 60)

    where = bench.engine.database_endpoint(stack, "db")
    with psycopg.connect(
        host=where.host, port=where.port, user=where.user, password=where.password.reveal(), dbname=where.database
    ) as session:
        assert session.execute("SELECT count(*) FROM made_at_first_start").fetchone() == (0,)


def test_a_database_that_publishes_nothing_is_reached_by_its_own_address(bench: Bench) -> None:
    stack = bench.write(
        """
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: secret}
    healthcheck: {test: ["CMD-SHELL", "pg_isready -h 127.0.0.1"], interval: 300ms, retries: 100}
    tmpfs: [/var/lib/postgresql/data]
"""
    )
    up(bench, stack, 60)

    where = bench.engine.database_endpoint(stack, "db")

    assert not where.host.startswith("127.")
    with psycopg.connect(
        host=where.host, port=where.port, user=where.user, password=where.password.reveal(), dbname=where.database
    ) as session:
        assert session.execute("SELECT current_user").fetchone() == ("postgres",)


def test_a_changed_password_is_refused_while_the_old_container_runs_and_when_its_volume_comes_back(
    bench: Bench,
) -> None:
    services = """
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: CHOSEN}
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: {test: ["CMD-SHELL", "pg_isready -h 127.0.0.1"], interval: 300ms, retries: 100}
  app:
    image: python:3.13-slim
    command: ["sleep", "600"]
    init: true
    depends_on: {db: {condition: service_healthy}}
"""
    before = bench.write(services.replace("CHOSEN", "first"), "volumes: {data: {}}")
    up(bench, before, 60)
    first = bench.status(before, "db"), bench.status(before, "app")
    changed = bench.write(services.replace("CHOSEN", "second"), "volumes: {data: {}}")

    with pytest.raises(DatabaseRefused, match="another password of postgres"):
        up(bench, changed, 60)

    now = bench.status(changed, "db"), bench.status(changed, "app")
    assert [one.container_id for one in now] == [one.container_id for one in first]
    bench.down(changed)
    with pytest.raises(DatabaseRefused, match="another password of postgres"):
        up(bench, changed, 60)
    assert bench.status(changed, "app").state == "absent"
