"""What did the user type behind `--`?

Invoke joins those words with single spaces and so loses their quotes; the process's own arguments still have them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import ConfigurationError


def words_after_dashes(arguments: Sequence[str]) -> tuple[str, ...]:
    """The words behind the first `--` of the process's arguments, unchanged; none where there is no `--`."""
    return tuple(arguments[arguments.index("--") + 1 :]) if "--" in arguments else ()


def program_of(arguments: Sequence[str]) -> tuple[str, ...]:
    """The program behind `--` and its arguments. Raises: ConfigurationError where there is none."""
    if words := words_after_dashes(arguments):
        return words
    raise ConfigurationError(
        "no program was named",
        cause="the program and its arguments follow two dashes",
        hint="inv exec --service app -- alembic current",
    )
