"""Does a command that we name act on the stack that this run was about?

A hint is pasted. `inv rollback` after `inv restore --prod` would roll back the development stack, and after
`DATABASE_URL=... inv restore` whatever the shell knows.
"""

from __future__ import annotations

import re
from functools import cache

TASKS = frozenset((
    "up", "down", "ps", "logs", "exec", "build", "pull", "plan", "config", "migrate", "revision", "history",
    "rollback", "shell", "seed", "stats", "backup", "backups", "verify", "pin", "prune", "restore", "transfer",
    "scheduler", "check",
))  # fmt: skip
"""What makes a word after `inv` a command of ours: a cause may quote SQL, in which `inv` is a table."""
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
    if not (is_production or is_by_url):
        return text
    found = [one for one in _command().finditer(text) if one["task"] in TASKS and not one["chosen"]]
    if not found:
        return text
    if is_production:
        text = _command().sub(_for_production, text)
    if is_by_url:
        text += f"\n({SAME_DATABASE})" if "\n" in text else f" ({SAME_DATABASE})"
    return text


@cache
def _command() -> re.Pattern[str]:
    """A command ends where another one begins: of `inv down && inv up` each needs its own `--prod`."""
    return re.compile(r"(?P<chosen>DATABASE_URL=\S+ )?\binv (?P<task>[a-z]+)\b(?P<rest>(?:(?!&&|\binv\b)[^;,:\n])*)")


def _for_production(found: re.Match[str]) -> str:
    is_ours = found["task"] in TASKS and not found["chosen"]
    if not is_ours or found["task"] in _EVERYWHERE or "--prod" in found["rest"].split():
        return found[0]
    return f"inv {found['task']} --prod{found['rest']}"
