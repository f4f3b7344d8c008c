"""What did the user type behind `--`?

Invoke joins those words with single spaces and so loses their quotes; the process's own arguments still have them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import ConfigurationError


def program_of(arguments: Sequence[str], *, default: Sequence[str] = ()) -> tuple[str, ...]:
    """The words behind the first `--` of the process's arguments, unchanged.

    Raises: ConfigurationError where there are none and no default.
    """
    words = tuple(arguments[arguments.index("--") + 1 :]) if "--" in arguments else ()
    if words or default:
        return words or tuple(default)
    raise ConfigurationError(
        "no program was named",
        cause="the program and its arguments follow two dashes",
        hint="inv exec --service app -- alembic current",
    )
