"""Which variables have no value, and who may go on without them?"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import ConfigurationError
from ops.model.compose.interpolation import Missing


def refuse_missing(missing: Sequence[Missing], *, is_strict: bool) -> None:
    """Refuse all variables without a value at once, by name and place; not strict: those that the file insists on.

    Raises: ConfigurationError.
    """
    wanted: dict[str, list[Missing]] = {}
    for item in missing:
        if is_strict or item.is_required:
            wanted.setdefault(item.name, []).append(item)
    if not wanted:
        return
    count = "1 variable has" if len(wanted) == 1 else f"{len(wanted)} variables have"
    raise ConfigurationError(
        f"{count} no value: {', '.join(wanted)}",
        cause="; ".join(_places(name, items) for name, items in wanted.items()),
        hint="set them in the env file, give a default as in ${NAME:-value}, or write $$ for a dollar sign",
    )


def _places(name: str, items: Sequence[Missing]) -> str:
    more = f" and {len(items) - 1} more" if len(items) > 1 else ""
    message = next((f": {item.message}" for item in items if item.message), "")
    return f"{name} is wanted by {items[0].where}{more}{message}"
