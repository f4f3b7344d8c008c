"""Story: somebody looks before every step with --dry, and later reads in the journal who did what.

Both lists of this file are complete, or the tests fail: a new task has to say here what it does.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from ops.cli import namespace
from scripts.generate_docs import arguments_of
from tests.stories.conftest import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

READ_ONLY = {
    "ps": ["ps"],
    "logs": ["logs", "--tail", "1"],
    "plan": ["plan"],
    "config": ["config"],
    "history": ["history"],
    "stats": ["stats"],
    "backups": ["backups"],
    "check": ["check"],
}
"""Task -> words to run it with; these change nothing."""

CHANGING: dict[str, list[list[str]]] = {
    "up": [["up", "--force-recreate"]],
    "down": [["down", "--volumes", "--yes", "--forget"]],
    "build": [["build"]],
    "pull": [["pull"]],
    "exec": [["exec", "--service", "db", "--", "touch", "made-by-exec"]],
    "shell": [["shell", "--", "-c", "CREATE TABLE made_by_shell (id int)"]],
    "migrate": [["migrate", "--yes"]],
    "revision": [["revision", "--message", "made by a test", "--empty"]],
    "rollback": [["rollback", "--yes"]],
    "seed": [["seed"]],
    "backup": [["backup", "--note", "x"]],
    "verify": [["verify"], ["verify", "--all"], ["verify", "--drill"]],
    "pin": [["pin", "--note", "x"]],
    "prune": [["prune", "--yes"], ["prune", "--acknowledge", "--yes"], ["prune", "--copies", "--yes"]],
    "restore": [
        ["restore", "--latest", "--yes"],
        ["restore", "--latest", "--as", "look"],
        ["restore", "--latest", "--table", "public.users"],
    ],
    "transfer": [["transfer", "--to", "sqlite:///new.db"], ["transfer", "--source", "sqlite:///old.db", "--yes"]],
    "scheduler": [["scheduler"], ["scheduler", "--once", "backup"], ["scheduler", "--once", "prune"]],
}
"""Task -> ways to run it; these change something unless they are dry."""


def test_every_task_is_known_to_change_something_or_nothing_and_can_be_dry_if_it_does() -> None:
    assert READ_ONLY.keys() | CHANGING.keys() == set(namespace.task_names)
    for name in namespace.task_names:
        flags = {argument.name for argument in arguments_of(name)}
        assert ("dry_run" in flags) is (name in CHANGING), name


def everything(world: World) -> dict[str, object]:
    """What a change could leave: files, databases and their rows, roles, containers, volumes, networks."""
    files = {}
    for path in sorted(world.folder.rglob("*")):
        inside = path.relative_to(world.folder)
        skipped = {".venv", "__pycache__"} & set(inside.parts) or inside.parts[:1] + inside.parts[2:3] == (
            ".ops",
            "embedded",
        )
        if not skipped and path.is_file():
            files[str(inside)] = hashlib.sha256(path.read_bytes()).hexdigest()
    with world.connect() as session:
        names = session.execute("SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1")
        roles = session.execute("SELECT rolname, rolcanlogin FROM pg_roles ORDER BY 1")
        tables = session.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid > 16383 ORDER BY 1"
        )
        found: dict[str, object] = {
            "files": files, "databases": names.fetchall(), "roles": roles.fetchall(), "tables": tables.fetchall(),
        }  # fmt: skip
    found["rows"] = world.contents()
    if world.engine == "docker":
        named = f"label=com.docker.compose.project={world.project}"
        for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            found[kind[0]] = subprocess.run(
                ["docker", *kind, "--quiet", "--filter", named], capture_output=True, text=True, check=True
            ).stdout.split()
    return found


def keep_one_backup(world: World) -> None:
    """A retention policy under which a second backup leaves something to prune."""
    path = world.folder / "pyproject.toml"
    before, _, after = path.read_text().partition("[tool.ops.retention]\n")
    rest = after.partition("\n\n")[2]
    path.write_text(f"{before}[tool.ops.retention]\nkeep-last = 1\nminimum = 1\n\n{rest}")


def prepared(world: World) -> None:
    """A stack in which every task would have something to do."""
    keep_one_backup(world)
    world.inv("up", "--services", "db")
    world.inv("migrate", "--to", "0001")
    with world.connect() as session:
        session.execute("INSERT INTO users (name) SELECT 'user ' || n FROM generate_series(1, 50) n")
    world.inv("backup")
    world.inv("backup")
    world.inv("restore", "--latest", "--yes", "--keep-revision")
    world.inv("transfer", "--to", "sqlite:///old.db")


def test_a_dry_task_changes_nothing_whatever_it_is(world: World) -> None:
    prepared(world)
    before = everything(world)
    assert before["rows"]

    for ways in CHANGING.values():
        for words in ways:
            world.inv("--dry", *words)
            assert everything(world) == before, f"inv --dry {' '.join(words)}"
        task, *rest = ways[0]
        world.inv(task, "--dry-run", *rest)
        assert everything(world) == before, f"inv {task} --dry-run"
    for words in READ_ONLY.values():
        world.inv(*words, code=4 if words == ["check"] else 0)
        assert everything(world) == before, f"inv {' '.join(words)}"


JOURNALLED = {
    "up": "up", "down": "down", "build": "build", "pull": "pull", "exec": "exec", "shell": "shell",
    "migrate": "migrate", "revision": "revision", "rollback": "rollback", "seed": "seed", "backup": "backup",
    "verify": "verify", "pin": "pin", "prune": "prune", "restore": "restore", "transfer": "transfer-back",
    "scheduler": "backup",
}  # fmt: skip
"""Task -> the kind of change that the journal tells of it."""
REAL = [
    ["up"], ["build"], ["pull"], ["migrate"], ["seed"], ["backup"], ["backup"], ["verify"], ["pin"], ["prune", "--yes"],
    ["shell", "--", "-c", "SELECT 'a-secret-word'"], ["exec", "--", "true", "a-secret-word"],
    ["revision", "--message", "made by a test", "--empty"], ["transfer", "--to", "sqlite:///new.db"],
    ["scheduler", "--once", "backup"], ["restore", "--latest", "--yes", "--keep-revision"], ["rollback", "--yes"],
    ["down"],
]  # fmt: skip


@pytest.mark.parametrize("world", ["embedded"], indirect=True)
def test_the_journal_tells_of_every_task_that_changes_something_who_when_and_how_it_ended(world: World) -> None:
    assert JOURNALLED.keys() == CHANGING.keys()
    assert {words[0] for words in REAL} == CHANGING.keys()
    journal = Path(world.folder / ".ops" / world.project / "changes.jsonl")
    read: list[dict] = []
    keep_one_backup(world)
    for words in REAL:
        world.inv(*words)
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        assert lines[: len(read)] == read, "lines are only ever added"
        ours = [line for line in lines[len(read) :] if line["kind"] == JOURNALLED[words[0]]]
        assert [line["state"] for line in ours] == ["started", "finished"], words
        assert len({line["id"] for line in ours}) == 1
        assert all(re.fullmatch(r"\S+@\S+ [0-9]+", line["by"]) and line["at"].endswith("+00:00") for line in ours)
        read = lines

    assert "a-secret-word" not in journal.read_text()
    assert journal.stat().st_mode & 0o777 == 0o600
