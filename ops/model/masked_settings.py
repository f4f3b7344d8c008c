"""Where do the database settings come from whose values no manifest holds?

A manifest masks what is named like a secret. A restore takes such a value from the live database, which has it in
most cases, and says so where it has not.
"""

from __future__ import annotations

from dataclasses import replace

from ops.model.database import DatabaseFacts
from ops.model.secret import MASK


def unmasked(facts: DatabaseFacts, live: DatabaseFacts | None) -> tuple[DatabaseFacts, tuple[str, ...]]:
    """The facts with masked settings filled in from the live database, and what could not be; one sentence each."""
    known = {(role, name): value for role, name, value in live.settings} if live is not None else {}
    settings: list[tuple[str, str, str]] = []
    lost: list[str] = []
    for role, name, value in facts.settings:
        if value != MASK:
            settings.append((role, name, value))
        elif (role, name) in known:
            settings.append((role, name, known[role, name]))
        else:
            whose = f" of role {role}" if role else ""
            lost.append(f"setting {name}{whose}: its value is a secret, which no backup holds; set it by hand")
    return replace(facts, settings=tuple(settings)), tuple(lost)
