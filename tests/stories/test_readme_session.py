"""Story: what the README's sample session prints is what the tool prints.

Compared line by line; only what differs from run to run is blanked out: ids, decimals, sizes and folders.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.stories.conftest import INV, ROOT, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SESSION = re.compile(r"^## A day and a night\n+```\n(.*?)^```", re.DOTALL | re.MULTILINE)
ANSWER = "type 'yes' to go on: "


def commands() -> list[tuple[str, list[str]]]:
    """Each command of the session with the lines below it."""
    found = SESSION.search((ROOT / "README.md").read_text())
    assert found is not None
    return [
        (lines[0], [line for line in lines[1:] if line.strip() not in {"", "..."}])
        for lines in (part.splitlines() for part in re.split(r"^\$ ", found[1], flags=re.MULTILINE)[1:])
    ]


def blanked(line: str) -> str:
    line = re.sub(r"\d{8}[Tt]\d{6}[Zz]", "ID", line)
    line = re.sub(r"\bat /\S+", "at PATH", line)
    return re.sub(r"\d+\.\d+|(?<=\()\d+(?= MB)", "N", " ".join(line.split()))


def printed(world: World, command: str) -> list[str]:
    """Both streams of a command whose questions are answered with yes."""
    master, slave = os.openpty()
    os.write(master, b"yes\n")
    try:
        done = subprocess.run(
            command, shell=True, cwd=world.folder, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=280, check=False,
            env={**world.environment, "PATH": f"{INV.parent}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    return [blanked(line) for line in done.stdout.replace(ANSWER, f"{ANSWER}yes\n").splitlines()]


@pytest.mark.parametrize("world", ["embedded"], indirect=True)
def test_the_readmes_session_is_what_the_tool_prints(world: World) -> None:
    world.run("scripts/up")

    missing = []
    for command, expected in commands():
        lines = printed(world, command)
        for line in map(blanked, expected):
            is_there = any(one.startswith(line[:-3]) for one in lines) if line.endswith("...") else line in lines
            if not is_there:
                missing.append((command, line, lines))

    assert missing == []
