"""Does the runbook's sequence move a stack from PostgreSQL 17 to 18 and back, word for word, with all that it says?"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.stories.conftest import INV, ROOT, World

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]
SURROUNDINGS = """
CREATE ROLE reader LOGIN PASSWORD 'reader';
GRANT CONNECT ON DATABASE comicpile TO reader;
GRANT SELECT ON users TO reader;
ALTER DATABASE comicpile SET work_mem = '7MB';
ALTER ROLE reader IN DATABASE comicpile SET statement_timeout = '9s';
ALTER DATABASE comicpile CONNECTION LIMIT 77;
CREATE COLLATION numbers (provider = icu, locale = 'en-u-kn-true');
CREATE TABLE named (name text COLLATE numbers PRIMARY KEY);
INSERT INTO named VALUES ('a10'), ('a9');
CREATE TABLE many AS SELECT n, md5(n::text) AS word, now() AS at, n / 7.0 AS part FROM generate_series(1, 5000) AS n;
SELECT lo_from_bytea(4242, convert_to(repeat('x', 100000), 'UTF8'));
"""
ASKED = {
    "database": """
        SELECT datlocprovider, datlocale, datcollate, pg_encoding_to_char(encoding), datconnlimit, datacl::text,
               pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()""",
    "settings": """
        SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1""",
    "grants": "SELECT relacl::text FROM pg_class WHERE relname = 'users'",
    "order": "SELECT name FROM named ORDER BY name",
    "large object": "SELECT md5(lo_get(4242))",
    "checksums": "SHOW data_checksums",
}


def sequences() -> list[str]:
    """The runbook's code blocks about majors: there, and back."""
    page = (ROOT / "docs/runbook.md").read_text()
    section = page.partition("## To another major of PostgreSQL")[2]
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[:2]


def walk(world: World, lines: str) -> None:
    """Type a code block, ending at the first command that fails."""
    script = f"set -e\ninv() {{ '{INV}' \"$@\"; }}\n{lines}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=world.folder, env=world.environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=560,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def surroundings(world: World) -> dict[str, list[tuple]]:
    with world.connect() as session:
        return {name: session.execute(sql).fetchall() for name, sql in ASKED.items()}


def major(world: World) -> int:
    with world.connect() as session:
        return session.info.server_version // 10000


def nameless_volumes(world: World) -> set[str]:
    """Volumes without a name of the database's container: the image of 18 has one beside the one with the data."""
    form = "{{range .Mounts}}{{.Name}} {{end}}"
    told = subprocess.run(
        ["docker", "inspect", "--format", form, f"{world.project}-db-1"], capture_output=True, text=True, check=True
    )
    return {name for name in told.stdout.split() if len(name) == 64}


@pytest.fixture
def left(world: World) -> Iterator[set[str]]:
    """Volumes to be gone afterwards, beside those of the stack that its last compose file does not use."""
    names: set[str] = set()
    yield names
    subprocess.run([str(INV), "down"], cwd=world.folder, env=world.environment, capture_output=True, check=False)
    of_project = f"label=com.docker.compose.project={world.project}"
    asks = ["docker", "volume", "ls", "--quiet", "--filter", of_project]
    names |= set(subprocess.run(asks, capture_output=True, text=True, check=True).stdout.split())
    subprocess.run(["docker", "volume", "rm", *names], capture_output=True, check=False)


@pytest.mark.parametrize("world", ["docker"], indirect=True)
def test_from_17_to_18_and_back_by_the_runbook(world: World, left: set[str]) -> None:
    there, back = sequences()
    world.inv("up", "--services", "db")
    world.inv("migrate")
    with world.connect() as session:
        session.execute(SURROUNDINGS)
    contents, around = world.contents(), surroundings(world)
    assert major(world) == 17
    refused = world.run("env", "POSTGRES_IMAGE=postgres:18", str(INV), "up", code=14)
    assert "holds data of PostgreSQL 17" in refused.stderr
    assert "docs/runbook.md, To another major of PostgreSQL" in refused.stderr
    world.run("env", "POSTGRES_IMAGE=postgres:18", str(INV), "plan", code=14)
    assert (major(world), world.contents()) == (17, contents)

    walk(world, there)
    left |= nameless_volumes(world)

    assert (major(world), world.contents(), surroundings(world)) == (18, contents, around)
    assert all(service["health"] == "healthy" for service in world.inv_json("ps"))
    with world.connect() as session:
        session.execute("INSERT INTO named VALUES ('written on 18')")
    refused = world.run("env", "POSTGRES_IMAGE=postgres:17", str(INV), "up", code=14)
    assert "holds data of PostgreSQL 18" in refused.stderr
    contents = world.contents()

    walk(world, back)
    left |= nameless_volumes(world)

    assert (major(world), world.contents()) == (17, contents)
    assert surroundings(world) == {**around, "order": [("a9",), ("a10",), ("written on 18",)]}
