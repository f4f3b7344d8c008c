"""Which databases kept beside the live one may go before their time?

Each restore, transfer and rollback keeps what it replaced for days. Only the newest is what `inv rollback` goes back
to, so that one stays, and so does what a person asked for by `inv restore --as`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops.model.change import Change
from ops.model.database import DatabaseCopy


@dataclass(frozen=True, slots=True)
class CopyDecision:
    """What happens to one copy, and why."""

    copy: DatabaseCopy
    is_kept: bool
    reason: str


def decide_copies(copies: Sequence[DatabaseCopy], last: Change | None) -> tuple[CopyDecision, ...]:
    """One decision a copy, newest first.

    Args:
        copies: what lies beside the live database. Scratch copies are passed over: the next change removes them.
        last: the change that a rollback would undo; None where there is none.
    """
    needed = last.recovery.name if last and last.recovery and last.recovery.kind == "database" else ""
    ordered = sorted(copies, key=lambda copy: (copy.created_at, copy.name), reverse=True)
    newest = next((copy.name for copy in ordered if copy.role == "recovery-point"), "")
    return tuple(_decide(copy, {needed, newest}) for copy in ordered if copy.role != "scratch")


def _decide(copy: DatabaseCopy, needed: set[str]) -> CopyDecision:
    if copy.role == "kept":
        return CopyDecision(copy, is_kept=True, reason=f"made by a {copy.change} --as, for a person to look at")
    if copy.name in needed:
        return CopyDecision(copy, is_kept=True, reason="inv rollback goes back to it")
    until = f", else kept until {copy.expires_at:%Y-%m-%d %H:%M} UTC" if copy.expires_at else ""
    return CopyDecision(copy, is_kept=False, reason=f"older than what inv rollback goes back to{until}")
