"""Where are backups copied to, which of them belong there, and is that place in step?

A target is a bucket or a second folder. It holds the same files as the local catalog, with the same rule: a manifest
makes a backup. What is to be removed there is condemned first, by a file of its own, so that a removal that was refused
half-way is finished later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from ops.errors import ConfigurationError
from ops.model.finding import Finding
from ops.model.manifest import Manifest
from ops.model.retention import Decision, decide
from ops.model.retention_policy import Policy

CONDEMNED: Final = ".condemned"
_KEYS: Final = {"kind", "bucket", "prefix", "endpoint-url", "region", "path", "retention"}
_KINDS: Final[dict[str, Literal["s3", "folder"]]] = {"s3": "s3", "folder": "folder"}


@dataclass(frozen=True, slots=True)
class OffsiteTarget:
    """One place off-site, as `[tool.ops.offsite]` describes it."""

    name: str
    kind: Literal["s3", "folder"]
    bucket: str = ""
    prefix: str = ""
    endpoint_url: str = ""
    region: str = ""
    path: str = ""
    retention: Mapping[str, Any] = field(default_factory=dict)
    """As `[tool.ops.retention]`; empty: nothing is ever removed there."""


def parse_targets(table: Mapping[str, Any]) -> tuple[OffsiteTarget, ...]:
    """Read `[tool.ops.offsite]`: one target, called like its kind, or a table of targets by name.

    Raises: ConfigurationError, naming the key.
    """
    if not table:
        return ()
    if "kind" in table:
        return (_target(str(table["kind"]), table, "tool.ops.offsite"),)
    found = []
    for name, value in table.items():
        path = f"tool.ops.offsite.{name}"
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{path} is {value!r}", cause="kind is missing", hint="docs/offsite.md")
        found.append(_target(name, value, path))
    return tuple(found)


def _target(name: str, table: Mapping[str, Any], path: str) -> OffsiteTarget:
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigurationError(f"unknown key {path}.{key}", cause=f"known are {', '.join(sorted(_KEYS))}")
        if not isinstance(value, Mapping if key == "retention" else str):
            raise ConfigurationError(f"{path}.{key} is {value!r}", hint="docs/offsite.md says what it takes")
    kind = _KINDS.get(table.get("kind", ""))
    needed = {"s3": "bucket", "folder": "path"}.get(kind or "", "kind")
    if kind is None or not table.get(needed):
        raise ConfigurationError(
            f"{path}.{needed} is missing or wrong", cause="kind is s3 (with bucket) or folder (with path)"
        )
    return OffsiteTarget(
        name=name,
        kind=kind,
        bucket=table.get("bucket", ""),
        prefix=table.get("prefix", "").strip("/"),
        endpoint_url=table.get("endpoint-url", ""),
        region=table.get("region", ""),
        path=table.get("path", ""),
        retention=table.get("retention", {}),
    )


def wanted_there(
    local: Iterable[Manifest], remote: Iterable[Manifest], policy: Policy | None, now: datetime
) -> tuple[Manifest, ...]:
    """The local backups to copy, newest first: whole, not (or not whole) there, and kept by the target's own policy."""
    there = {manifest.id: manifest for manifest in remote if manifest.verified_at is not None}
    missing = [one for one in local if one.verified_at is not None and one.id not in there]
    if policy is not None:
        kept = {one.manifest.id for one in decide([*there.values(), *missing], policy, now) if one.is_kept}
        missing = [one for one in missing if one.id in kept]
    return tuple(sorted(missing, key=lambda manifest: manifest.id, reverse=True))


def refreshed(remote: Manifest, local: Manifest) -> Manifest:
    """The copy's manifest with what people and drills said of the backup since; what it is stays."""
    return replace(
        remote,
        pinned=local.pinned,
        pin_note=local.pin_note,
        expires_at=local.expires_at,
        acknowledged=local.acknowledged,
        drill=local.drill or remote.drill,
    )


def judge_offsite(
    name: str, local: Sequence[Manifest], remote: Sequence[Manifest], missing: Sequence[Manifest], odd: Sequence[str]
) -> Finding:
    """The newest local backup is off-site, and so is every other that belongs there.

    Args:
        name: the target's.
        local: the local catalog, newest first.
        remote: what is there, newest first.
        missing: what should be there.
        odd: what is there and is no backup, one sentence each.
    """
    title = f"off-site {name}"
    if local and not remote:
        return Finding(title, "critical", "no backup is there at all", "inv scheduler --once offsite")
    if missing:
        ids = ", ".join(manifest.id for manifest in missing[:3])
        return Finding(title, "warning", f"{len(missing)} backups are not there: {ids}", "inv scheduler --once offsite")
    if odd:
        return Finding(title, "warning", f"{len(odd)} things there are no backups: {odd[0]}", "docs/offsite.md")
    newest = f", the newest {remote[0].id}" if remote else ""
    return Finding(title, "ok", f"in step: {len(remote)} backups{newest}")


def to_remove(remote: Sequence[Manifest], policy: Policy | None, now: datetime) -> tuple[Decision, ...]:
    """What the target's own policy lets go, oldest first; nothing without a policy or with one that keeps nothing."""
    if policy is None or policy.is_empty:
        return ()
    return tuple(one for one in reversed(decide(remote, policy, now)) if not one.is_kept)
