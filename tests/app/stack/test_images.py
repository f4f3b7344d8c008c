"""Is in the images what belongs there, and nothing else?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.app.conftest import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def docker(*arguments: str) -> str:
    """Run a docker command to its end; gives stdout."""
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def built(target: str) -> Iterator[str]:
    """One of the images, removed afterwards; the builder's layers stay, so a second time is quick."""
    name = f"opstest-{target}:test"
    docker("build", "--quiet", "--target", target, "--tag", name, ".")
    yield name
    docker("image", "rm", "--no-prune", name)


@pytest.fixture(scope="module")
def runtime() -> Iterator[str]:
    """The application's image."""
    yield from built("runtime")


@pytest.fixture(scope="module")
def ops() -> Iterator[str]:
    """The scheduler's image."""
    yield from built("ops")


def inside(image: str, script: str, *options: str) -> str:
    """What a shell script prints in a new container of the image, without network or a writable file system."""
    return docker("run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", *options, image, "sh", "-ec", script)


def test_the_application_runs_as_nobody_in_particular(runtime: str) -> None:
    assert inside(runtime, "id -u; id -g; touch /app/x 2>&1 || true").split()[:2] == ["10001", "10001"]
    assert "cannot touch" in inside(runtime, "touch /app/x 2>&1 || true")


def test_the_applications_image_holds_the_application_and_no_more(runtime: str) -> None:
    assert inside(runtime, "ls -A /app").split() == ["alembic", "alembic.ini", "app"]
    libraries = inside(runtime, "ls /opt/venv/bin /opt/venv/lib/python3*/site-packages").lower()
    for unwanted in ("pytest", "docker", "boto3", "apprise", "invoke", "ruff", "/pip"):
        assert unwanted not in libraries


def test_no_secret_is_in_the_images_own_description(runtime: str) -> None:
    described = docker("image", "inspect", runtime) + docker("history", "--no-trunc", runtime)

    assert "password" not in described.lower()
    assert "DATABASE_URL" not in described


def test_the_applications_own_health_check_passes_without_a_database(runtime: str) -> None:
    script = """
        uvicorn app.main:app --host 127.0.0.1 --port 8000 >/tmp/log 2>&1 &
        for _ in $(seq 100); do
          python -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/health').read().decode())" \
            2>/tmp/why && exit 0
          sleep 0.2
        done
        cat /tmp/log /tmp/why; exit 1"""

    assert '"status":"healthy"' in inside(runtime, script, "-e", "DATABASE_URL=postgresql://nobody@db.invalid/none")
    check = docker("image", "inspect", "--format", "{{json .Config.Healthcheck}}", runtime)
    assert "/health" in check


def test_the_image_knows_its_schema_history(runtime: str) -> None:
    assert inside(runtime, "alembic heads").startswith("0002")


def test_the_schedulers_image_can_dump_and_can_start_a_server_for_a_drill(ops: str) -> None:
    script = """
        cd /tmp
        initdb -D data -U drill --encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 >/dev/null 2>&1
        pg_ctl -D data -o '-k /tmp -c listen_addresses=' -l log -w start >/dev/null
        psql -h /tmp -U drill -d postgres -qc 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS n'
        pg_dump -h /tmp -U drill -Fc -Z zstd:1 -f archive postgres
        createdb -h /tmp -U drill other
        pg_restore -h /tmp -U drill -d other archive
        psql -h /tmp -U drill -d other -Atc 'SELECT sum(n) FROM t'
        pg_ctl -D data -m fast stop >/dev/null"""

    assert inside(ops, script).split() == ["500500"]


def test_the_schedulers_image_runs_as_the_owner_of_the_backups_and_has_the_runner(ops: str) -> None:
    assert inside(ops, "id -u; id -un").split() == ["1000", "ops"]
    assert "backup" in inside(ops, "inv --list")
