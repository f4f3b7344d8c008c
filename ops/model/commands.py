"""Does a command that we name act on the stack that this run was about?

A hint is pasted. `inv rollback` after `inv restore --prod` would roll back the development stack, and after
`DATABASE_URL=... inv restore` whatever the shell knows.
"""

from __future__ import annotations

import re

TASKS = (
    "up", "down", "ps", "logs", "exec", "build", "pull", "plan", "config", "migrate", "revision", "history",
    "rollback", "shell", "seed", "stats", "backup", "backups", "verify", "pin", "prune", "restore", "transfer",
    "scheduler", "check",
)  # fmt: skip
"""What is a command of ours: a cause may quote SQL, in which `inv` is a table."""
_COMMAND = re.compile(
    rf"(?P<chosen>DATABASE_URL=\S+ )?\binv (?P<task>{'|'.join(TASKS)})\b(?P<rest>(?:(?!&&|\binv\b)[^;,:\n])*)"
)
"""A command ends where another one begins: of `inv down && inv up` each needs its own `--prod`."""
_EVERYWHERE = frozenset({"revision"})
"""Tasks that know no `--prod`."""
SAME_DATABASE = "with the same OPS_ENGINE and DATABASE_URL as this command"


def addressed(text: str, *, is_production: bool = False, is_by_url: bool = False) -> str:
    """The text, with its commands completed.

    Args:
        text: a hint, or a result.
        is_production: the run was about the production stack.
        is_by_url: the run's own environment named its database.
    """
    commands = [found for found in _COMMAND.finditer(text) if not found["chosen"]]
    if not commands:
        return text
    if is_production:
        text = _COMMAND.sub(_for_production, text)
    if is_by_url:
        text += f"\n({SAME_DATABASE})" if "\n" in text else f" ({SAME_DATABASE})"
    return text


def _for_production(found: re.Match[str]) -> str:
    if found["chosen"] or found["task"] in _EVERYWHERE or "--prod" in found["rest"].split():
        return found[0]
    return f"inv {found['task']} --prod{found['rest']}"
