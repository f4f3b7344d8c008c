"""Do the documents tell the truth about tasks, arguments, settings, exit codes and paths?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops.cli import namespace
from ops.config import SETTINGS
from scripts import generate_docs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"\binv ((?:--?[a-z-]+ )*)([a-z]+)((?: +--[a-z-]+(?:[= ][^\s`|]+)?)*)")
NOT_TASKS = {"is", "and", "or", "run", "tasks", "commands"}


def code_of(page: Path) -> str:
    """What a page shows as code: fenced blocks and `inline` code."""
    text = page.read_text("utf-8")
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return "\n".join(
        [*fenced, *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))]
    )


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """Every `inv TASK --flag ...` -> task and flags."""
    return [
        (found[2], re.findall(r"--[a-z-]+", found[3])) for found in COMMAND.finditer(text) if found[2] not in NOT_TASKS
    ]


def flags_of(name: str) -> set[str]:
    return {
        generate_docs.flag(argument.name, argument.kind).partition("=")[0]
        for argument in generate_docs.arguments_of(name)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_task_and_argument_that_a_page_names_exists(page: Path) -> None:
    for task, flags in commands_in(code_of(page)):
        assert task in namespace.task_names, f"{page.name} names `inv {task}`"
        assert set(flags) <= flags_of(task), f"{page.name} gives `inv {task}` {flags}"


def test_the_guide_page_maps_a_command_to_nearly_every_task_a_user_of_it_needs() -> None:
    named = {task for task, _ in commands_in((ROOT / "docs/guide.md").read_text())}

    assert {"up", "down", "ps", "logs", "exec", "build", "pull", "migrate", "revision", "rollback"} <= named
    assert {"backup", "restore", "prune", "scheduler", "seed", "shell", "stats"} <= named


def test_every_task_has_one_line_that_fits_the_list_and_help_for_every_argument() -> None:
    for name in namespace.task_names:
        task = namespace[name]
        summary = (task.body.__doc__ or "").strip().splitlines()[0]
        assert summary.endswith("."), name
        assert len(summary) <= 64, name
        for argument in generate_docs.arguments_of(name):
            assert argument.help, f"--{argument.name} of {name}"


@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("commands.md", generate_docs.commands),
        ("configuration.md", generate_docs.configuration),
        ("exit-codes.md", generate_docs.exit_codes),
    ],
)
def test_the_generated_pages_are_fresh(page, made) -> None:
    assert (ROOT / "docs" / page).read_text() == made()


def test_every_path_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    paths = set(
        re.findall(r"`((?:ops|app|alembic|docs|tests|scripts|benchmarks)/[\w./]*|[\w.-]+\.(?:py|yml|ini|toml))`", text)
    )

    assert len(paths) >= 6
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_setting_that_a_page_names_is_one() -> None:
    known = {setting.name for setting in SETTINGS} | {"OPS_REPEAT", "OPS_SEED", "OPS_UID", "OPS_GID"}
    for page in PAGES:
        for name in re.findall(r"\bOPS_[A-Z_]+\b", page.read_text()):
            assert name in known, f"{page.name} names {name}"


def test_every_exit_code_is_used_by_one_error_only() -> None:
    codes = [leaf.exit_code for leaf in generate_docs.leaves()]

    assert len(codes) == len(set(codes))
    assert not {0, 1, 130, 143} & set(codes)


def test_the_readme_fits_on_a_screen_or_two_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text()

    assert len(text.splitlines()) <= 150
    assert [page.name for page in PAGES if page.name != "README.md" and page.name not in text] == []


def test_decisions_are_dated_in_order_apart_from_each_other_and_at_most_twelve_lines() -> None:
    head, *entries = re.split(r"^(?=## )", (ROOT / "docs/decisions.md").read_text(), flags=re.MULTILINE)
    titles = [entry.splitlines()[0] for entry in entries]
    dates = [title.split()[1] for title in titles]

    assert head.endswith("\n\n")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    assert dates == sorted(dates)
    assert len(titles) == len(set(titles))
    assert [entry for entry in entries[:-1] if not entry.endswith("\n\n")] == []
    assert [
        title for title, entry in zip(titles, entries, strict=True) if len(entry.strip().splitlines()) - 2 > 12
    ] == []


def test_no_line_of_the_changelog_is_there_twice() -> None:
    lines = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith(("- ", "#"))]

    assert len(lines) == len(set(lines))


def test_the_schema_folder_never_shadows_the_alembic_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()
