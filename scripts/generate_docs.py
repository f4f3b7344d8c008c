"""Which pages of docs/ are made from the code, and are they fresh?

`python -m scripts.generate_docs` writes docs/commands.md, docs/configuration.md and docs/exit-codes.md;
`--check` only says which are stale and exits 1.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from invoke.parser import Argument

from ops import errors
from ops.cli import namespace
from ops.config import PROJECT_KEYS, SETTINGS

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "<!-- made by `python -m scripts.generate_docs`; edit the code instead -->\n"


def cell(text: object) -> str:
    """A text that a Markdown table can hold."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def flag(name: str, kind: type) -> str:
    """An argument as it is typed: `--lock-wait=FLOAT`."""
    return f"--{name.strip('_').replace('_', '-')}" + ("" if kind is bool else f"={kind.__name__.upper()}")


def arguments_of(name: str) -> list[Argument]:
    """A task's arguments; Invoke takes each sentence out of `help` as it reads it, so it is put back."""
    task = namespace[name]
    kept = dict(task.help)
    try:
        found: list[Argument] = task.get_arguments()
        return found
    finally:
        task.help = kept


def commands() -> str:
    """docs/commands.md: every task with its arguments."""
    parts = ["# Commands\n", MADE, "Every task of `inv`; `inv --help TASK` says the same.\n"]
    for name in sorted(namespace.task_names):
        task = namespace[name]
        parts.append(f"\n## inv {name}\n\n{inspect.getdoc(task.body)}\n")
        arguments = arguments_of(name)
        if arguments:
            parts.append("\n| argument | meaning |\n|---|---|\n")
            parts += [f"| `{flag(argument.name, argument.kind)}` | {cell(argument.help)} |\n" for argument in arguments]
    return "".join(parts)


def configuration() -> str:
    """docs/configuration.md: every setting and every key of `[tool.ops]`."""
    parts = [
        "# Configuration\n",
        MADE,
        "\n## Environment\n\nRead once, from the process over `.env` (`.env.production` with `--prod`).\n\n",
        "| variable | default | meaning |\n|---|---|---|\n",
    ]
    for setting in SETTINGS:
        choices = f" (one of {', '.join(setting.choices)})" if setting.choices else ""
        default = f"`{setting.default}`" if setting.default else ""
        parts.append(f"| `{setting.name}` | {default} | {cell(setting.meaning)}{choices} |\n")
    parts.append("\n## pyproject.toml\n\n| key of `[tool.ops]` | default | meaning |\n|---|---|---|\n")
    parts += [
        f"| `{key}` | `{cell(default)}` | {cell(meaning)} |\n" for key, (default, meaning) in PROJECT_KEYS.items()
    ]
    parts.append(
        "| `retention` | | zone, minimum, keep-last, keep-hourly, keep-daily, keep-weekly, keep-monthly, "
        "keep-yearly |\n"
        "| `schedule` | | zone, summary, and a rule or a table for each job: docs/scheduler.md |\n"
        "| `offsite` | | where copies of the backups go |\n"
        "| `certificates` | | files, warning-days, critical-days: docs/scheduler.md |\n"
    )
    return "".join(parts)


def leaves(error: type[errors.OpsError] = errors.OpsError) -> Iterator[type[errors.OpsError]]:
    """The error tree's leaves by exit code."""
    found = error.__subclasses__()
    return iter(sorted(found, key=lambda leaf: leaf.exit_code))


def exit_codes() -> str:
    """docs/exit-codes.md: the error tree."""
    rows = "".join(f"| {leaf.exit_code} | {leaf.__name__} | {cell(inspect.getdoc(leaf))} |\n" for leaf in leaves())
    return (
        f"# Exit codes\n{MADE}\nOne leaf of the error tree each, never reused. Treat an unknown code as a failure.\n\n"
        "| code | name | meaning |\n|---|---|---|\n| 0 | | done |\n"
        "| 1 | | usage (Invoke's own), or a bug of ours, with a traceback |\n"
        f"{rows}| 130 | | interrupted (SIGINT) |\n| 143 | | terminated (SIGTERM) |\n\n"
        "A Ctrl-C before our code is there is Python's and Invoke's own, and nothing was begun then: a traceback and\n"
        "130 while Invoke itself is imported, 1 without a word while it reads the command line.\n"
    )


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are stale."""
    pages = {"commands.md": commands(), "configuration.md": configuration(), "exit-codes.md": exit_codes()}
    stale = [name for name, text in pages.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is stale: python -m scripts.generate_docs", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(pages[name])
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
