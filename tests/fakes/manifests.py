"""A manifest with everything filled in, to be changed where a test cares."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ops.model.backup_id import archive_name, new_id
from ops.model.database import DatabaseFacts, Role, TableSummary
from ops.model.manifest import Manifest

AT = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)

FACTS = DatabaseFacts(
    kind="postgresql",
    name="comicpile",
    server_version="17.11",
    server_major=17,
    system_identifier="7412345678901234567",
    size_bytes=1_000_000,
    locale_provider="builtin",
    locale="C.UTF-8",
    owner="comicpile",
    extensions={"plpgsql": "1.0"},
    settings=(("", "TimeZone", "UTC"),),
    grants=("comicpile=CTc/comicpile",),
    roles=(Role("comicpile", ("LOGIN",)),),
)


def manifest(at: datetime = AT, **changes: Any) -> Manifest:
    """A good backup that began at `at`."""
    id = changes.pop("id", new_id(at))
    made = Manifest(
        id=id,
        stack="comic-pile",
        environment="development",
        reason="scheduled",
        archive=archive_name(id, changes.get("format", "custom")),
        format="custom",
        codec="zstd",
        size_bytes=100_000,
        sha256="a" * 64,
        plain_size_bytes=100_000,
        plain_sha256="a" * 64,
        database=FACTS,
        tables=(TableSummary("public.threads", 5000, "0f" * 16), TableSummary("public.users", 3, "1e" * 16)),
        revisions=("0002",),
        tool_version="17.11",
        started_at=at,
        finished_at=at,
        restore_by_hand="pg_restore",
        verified_at=at,
    )
    return replace(made, **changes)
