"""Do the commands that we name act on the stack that the run was about?"""

from __future__ import annotations

import inspect

import pytest

from ops.cli import namespace
from ops.model.commands import SAME_DATABASE, TASKS, addressed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inv rollback", "inv rollback --prod"),
        (
            "the old database is x: inv rollback brings it back",
            "the old database is x: inv rollback --prod brings it back",
        ),
        ("inv ps, then: inv backup", "inv ps --prod, then: inv backup --prod"),
        ("inv restore --file ID --dry-run", "inv restore --prod --file ID --dry-run"),
        ("inv shell -- -c '\\password x'", "inv shell --prod -- -c '\\password x'"),
        ("inv up --prod", "inv up --prod"),
        (
            "inv up --services db && inv restore --latest && inv up --build",
            "inv up --prod --services db && inv restore --prod --latest && inv up --prod --build",
        ),
        ("then inv up and inv restore there", "then inv up --prod and inv restore --prod there"),
        ("SELECT * FROM inv where a > 1", "SELECT * FROM inv where a > 1"),
        ("inv revision -m 'x'", "inv revision -m 'x'"),
        ("docker info", "docker info"),
        (
            "OPS_ENGINE=url DATABASE_URL=sqlite:///a.db inv rollback",
            "OPS_ENGINE=url DATABASE_URL=sqlite:///a.db inv rollback",
        ),
    ],
)
def test_after_a_run_in_production_every_command_is_about_production(text: str, said: str) -> None:
    assert addressed(text, is_production=True) == said


@pytest.mark.parametrize("text", ["inv ps, then: inv backup", "docker info", "a\nb: inv rollback"])
def test_commands_about_the_usual_stack_are_left_as_they_are(text: str) -> None:
    assert addressed(text) == text


def test_a_database_that_the_run_itself_was_told_is_said_to_be_told_again() -> None:
    assert addressed("inv rollback", is_by_url=True) == f"inv rollback ({SAME_DATABASE})"
    assert addressed("a\nb: inv rollback", is_by_url=True) == f"a\nb: inv rollback\n({SAME_DATABASE})"
    assert addressed("docker info", is_by_url=True) == "docker info"
    named = "DATABASE_URL=sqlite:///a.db inv rollback"
    assert addressed(named, is_by_url=True) == named


def test_every_task_is_known_and_all_but_revision_take_prod() -> None:
    takes = {name: inspect.signature(task.body).parameters for name, task in namespace.tasks.items()}

    assert set(TASKS) == set(takes)
    assert [name for name, arguments in takes.items() if "prod" not in arguments] == ["revision"]
