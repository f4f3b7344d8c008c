"""Which backups are kept, which may go, and why?

Pure: policy + backups + now -> one decision per backup, each with its reasons. The rules:

- Time and identity come from the manifest, never from a file's time or name pattern.
- Every rule counts for each database by itself (`DatabaseIdentity`): a stack that moved from SQLite to PostgreSQL
  keeps what the policy asks for of both, and neither takes the other's places.
- Only good backups (verified, and not looking wrong) fill the policy's places. One that is not good stays as long as
  no newer good one exists.
- A calendar rule keeps the newest good backup of each hour, day, ISO week, month or year *that has one*, in the
  policy's zone; periods without a backup do not use up a place. Rules are joined by "or".
- While a rule has fewer periods than it asks for, the oldest good backup is kept as well: it is the best there is for
  the time before.
- Kept in any case: pins (until they expire), backups dated in the future, the newest verified one, and the newest
  good ones up to the policy's minimum.
- When the newest backup of any database looks wrong and nobody has acknowledged it, nothing at all is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final

from ops.model.manifest import DatabaseIdentity, Manifest
from ops.model.retention_policy import Policy

_CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A backup dated so little ahead is not dated in the future: two hosts' clocks differ."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one backup; `reasons` is never empty."""

    manifest: Manifest
    is_kept: bool
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Kept:
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def keep(self, manifest: Manifest, reason: str) -> None:
        self.reasons.setdefault(manifest.id, []).append(reason)


def is_good(manifest: Manifest) -> bool:
    """Whether a backup counts: it was verified, and does not look wrong or was acknowledged."""
    return manifest.verified_at is not None and (manifest.acknowledged or not manifest.suspicious)


def is_pinned(manifest: Manifest, now: datetime) -> bool:
    """Whether a pin holds now; the pin of a recovery point ends by itself."""
    return manifest.pinned and (manifest.expires_at is None or manifest.expires_at > now)


def doubtful(manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """The newest backup of each database that looks wrong and nobody has acknowledged, newest first."""
    return _doubtful(_by_database(sorted(manifests, key=_age, reverse=True)))


def withheld_because(manifests: Iterable[Manifest]) -> str | None:
    """Why nothing may be dropped at all, None where pruning may go on."""
    return _withheld(doubtful(manifests))


def _doubtful(databases: Iterable[Sequence[Manifest]]) -> tuple[Manifest, ...]:
    newest = [backups[0] for backups in databases]
    return tuple(one for one in newest if one.suspicious and not one.acknowledged)


def _withheld(found: Sequence[Manifest]) -> str | None:
    if not found:
        return None
    return "; ".join(f"the newest backup {one.id} of {one.identity} looks wrong: {one.suspicious[0]}" for one in found)


def decide(manifests: Iterable[Manifest], policy: Policy, now: datetime) -> tuple[Decision, ...]:
    """One decision per backup, newest first.

    Args:
        manifests: of one stack, in any order, of any number of databases.
        policy: what to keep.
        now: aware; only pins and future dates depend on it, never an age.
    """
    all_backups = sorted(manifests, key=_age, reverse=True)
    kept, databases = _Kept(), _by_database(all_backups)
    for backups in databases:
        _decide_one(backups, policy, now, kept)
    withheld = _withheld(_doubtful(databases))
    if withheld is not None:
        for manifest in all_backups:
            if manifest.id not in kept.reasons:
                kept.keep(manifest, f"pruning is withheld: {withheld}")
    return tuple(
        Decision(
            manifest,
            manifest.id in kept.reasons,
            tuple(kept.reasons.get(manifest.id, ("no rule keeps it",))),
        )
        for manifest in all_backups
    )


def _by_database(all_backups: Iterable[Manifest]) -> Sequence[Sequence[Manifest]]:
    """One sequence for each database, in the order that is given."""
    groups: dict[DatabaseIdentity, list[Manifest]] = {}
    for manifest in all_backups:
        groups.setdefault(manifest.identity, []).append(manifest)
    return list(groups.values())


def _decide_one(backups: Sequence[Manifest], policy: Policy, now: datetime, kept: _Kept) -> None:
    """Apply everything but the withholding to the backups of one database, newest first."""
    _keep_in_any_case(backups, now, kept)
    counted = [manifest for manifest in backups if is_good(manifest) and not is_future(manifest, now)]
    _apply_rules(counted, policy, kept)
    for position, manifest in enumerate(counted[: max(1, policy.minimum)], start=1):
        if manifest.id not in kept.reasons:
            kept.keep(manifest, f"minimum {position} of {policy.minimum}")


def _keep_in_any_case(all_backups: Sequence[Manifest], now: datetime, kept: _Kept) -> None:
    newest_verified = next(
        (manifest for manifest in all_backups if manifest.verified_at is not None and not is_future(manifest, now)),
        None,
    )
    has_newer_good = False
    for manifest in all_backups:
        if is_pinned(manifest, now):
            until = "" if manifest.expires_at is None else f" until {manifest.expires_at:%Y-%m-%d %H:%M}"
            kept.keep(manifest, f"pinned{until}" + (f": {manifest.pin_note}" if manifest.pin_note else ""))
        if is_future(manifest, now):
            kept.keep(manifest, "dated in the future")
        if manifest is newest_verified:
            kept.keep(manifest, "newest verified")
        if not is_good(manifest) and not has_newer_good:
            kept.keep(manifest, "not good, but there is no newer good one")
        has_newer_good = has_newer_good or (is_good(manifest) and not is_future(manifest, now))


def _apply_rules(counted: list[Manifest], policy: Policy, kept: _Kept) -> None:
    for word, count, period_of in _rules(policy):
        seen: set[object] = set()
        for manifest in counted:
            if len(seen) == count:
                break
            period = period_of(manifest, policy.zone)
            if period not in seen:
                seen.add(period)
                kept.keep(manifest, f"{word} {len(seen)} of {count}")
        if 0 < len(seen) < count and word != "last":
            kept.keep(counted[-1], f"oldest, {word} {len(seen)} of {count}")


def _rules(policy: Policy) -> tuple[tuple[str, int, Callable[[Manifest, tzinfo], object]], ...]:
    return (
        ("last", policy.keep_last, lambda manifest, _: manifest.id),
        ("hourly", policy.keep_hourly, _hour),
        ("daily", policy.keep_daily, lambda manifest, zone: manifest.started_at.astimezone(zone).date()),
        (
            "weekly",
            policy.keep_weekly,
            lambda manifest, zone: manifest.started_at.astimezone(zone).isocalendar()[:2],
        ),
        ("monthly", policy.keep_monthly, lambda manifest, zone: _date(manifest, zone)[:2]),
        ("yearly", policy.keep_yearly, lambda manifest, zone: _date(manifest, zone)[:1]),
    )


def _hour(manifest: Manifest, zone: tzinfo) -> object:
    """The offset is part of an hour: when the clocks go back, two hours bear the same number."""
    local = manifest.started_at.astimezone(zone)
    return (local.date(), local.hour, local.utcoffset())


def _date(manifest: Manifest, zone: tzinfo) -> tuple[int, int, int]:
    local = manifest.started_at.astimezone(zone)
    return (local.year, local.month, local.day)


def is_future(manifest: Manifest, now: datetime) -> bool:
    """Whether a backup says that it will begin: somebody's clock is, or was, wrong."""
    return manifest.started_at > now + _CLOCKS_DIFFER


def _age(manifest: Manifest) -> tuple[datetime, str]:
    return (manifest.started_at, manifest.id)
