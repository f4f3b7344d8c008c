"""What does squawk, where it is installed, say beside our own lint?

Squawk parses SQL with PostgreSQL's grammar and knows more rules; our core decides what is destructive and stays the
authority for the rules that it has itself. A squawk that fails is a finding, never a failed plan.

Source: squawk-cli 2.70, `--reporter json`; lines and columns are counted from 0.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.model.lint_finding import LintFinding
from ops.model.migration_plan import Lint
from ops.model.sql_lint import lint

LEFT_OUT = (
    "require-lock-timeout",  # we set both on the connection
    "require-statement-timeout",
    "prefer-robust-stmts",  # every revision has a transaction and a version row
    "prefer-bigint-over-int",  # taste, not safety
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "ban-char-field",
    "transaction-nesting",  # the transaction is Alembic's
)
TIMEOUT_S = 30


def find_squawk() -> Path | None:
    """Squawk's program: beside this Python, else on PATH; None where it is not installed."""
    beside = Path(sysconfig.get_path("scripts")) / "squawk"
    found = str(beside) if beside.is_file() else shutil.which("squawk")
    return Path(found) if found else None


def lint_with_squawk(program: Path) -> Lint:
    """A lint that is ours, and squawk's for every rule that ours did not report in the same step."""

    def both(sql: str) -> tuple[LintFinding, ...]:
        own = lint(sql)
        known = {finding.rule for finding in own}
        return (*own, *(finding for finding in _ask(program, sql) if finding.rule not in known))

    return both


def best_lint() -> Lint:
    """The most thorough lint that is installed."""
    program = find_squawk()
    return lint if program is None else lint_with_squawk(program)


def _ask(program: Path, sql: str) -> Sequence[LintFinding]:
    arguments = ["--reporter", "json", "--no-error-on-unmatched-pattern", f"--exclude={','.join(LEFT_OUT)}"]
    try:
        ended = subprocess.run(
            [program, *arguments], input=sql, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd="/"
        )
        return [_finding(item) for item in json.loads(ended.stdout or "[]")]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as exc:
        return [LintFinding("squawk-failed", "warning", f"squawk gave no answer: {exc}", source="squawk")]


def _finding(item: dict[str, Any]) -> LintFinding:
    message = " ".join(filter(None, (item["message"], item.get("help"))))
    return LintFinding(item["rule_name"], "warning", message, line=item["line"] + 1, source="squawk")
