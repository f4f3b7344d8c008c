"""Does a manifest survive as JSON, and is anything else refused with the path of what is wrong?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import ManifestInvalid
from ops.model.backup_id import new_id
from ops.model.database import DatabaseFacts, Role, TableSummary
from ops.model.manifest import Codec, Drill, Environment, Manifest, Reason, without_secrets
from ops.model.manifest_json import from_json, merged, to_json
from ops.model.secret import MASK
from tests.fakes.manifests import FACTS, manifest

times = st.datetimes(
    min_value=datetime(1000, 1, 1),  # noqa: DTZ001 - Hypothesis wants naive bounds
    max_value=datetime(9990, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
texts = st.text(max_size=20)
counts = st.integers(min_value=0, max_value=2**63)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)

facts = st.builds(
    DatabaseFacts,
    kind=st.sampled_from(["postgresql", "sqlite"]),
    name=texts,
    server_version=texts,
    server_major=counts,
    system_identifier=texts,
    size_bytes=counts,
    encoding=texts,
    locale_provider=texts,
    collate=texts,
    ctype=texts,
    locale=texts,
    owner=texts,
    connection_limit=st.integers(min_value=-1, max_value=1000),
    extensions=st.dictionaries(texts, texts, max_size=3),
    settings=st.lists(st.tuples(texts, texts, texts), max_size=3).map(tuple),
    grants=st.lists(texts, max_size=3).map(tuple),
    roles=st.lists(st.builds(Role, texts, st.lists(texts, max_size=2).map(tuple)), max_size=3).map(tuple),
)
manifests = st.builds(
    Manifest,
    id=times.map(new_id),
    stack=texts,
    environment=st.sampled_from(get_args(Environment)),
    reason=st.sampled_from(get_args(Reason)),
    archive=st.from_regex(r"[0-9A-Z]{3,20}\.dump", fullmatch=True),
    format=st.sampled_from(["custom", "sqlite"]),
    codec=st.sampled_from(get_args(Codec)),
    size_bytes=counts,
    sha256=hashes,
    plain_size_bytes=counts,
    plain_sha256=hashes,
    database=facts,
    tables=st.lists(st.builds(TableSummary, texts, counts, hashes), max_size=3).map(tuple),
    revisions=st.lists(texts, max_size=2).map(tuple),
    tool_version=texts,
    started_at=times,
    finished_at=times,
    restore_by_hand=texts,
    note=texts,
    encryption=st.sampled_from([None, "age"]),
    pinned=st.booleans(),
    pin_note=texts,
    expires_at=st.none() | times,
    verified_at=st.none() | times,
    drill=st.none() | st.builds(Drill, times, st.floats(min_value=0, max_value=1e6), texts, texts),
    suspicious=st.lists(texts, max_size=2).map(tuple),
    acknowledged=st.booleans(),
    offsite=st.lists(texts, max_size=2).map(tuple),
)


@settings(max_examples=40)
@given(manifests)
def test_every_manifest_comes_back_as_it_was(made: Manifest) -> None:
    assert from_json(to_json(made), "x.json") == made
    assert from_json(to_json(made).encode(), "x.json") == made


def changed(path: str, value: Any) -> str:
    """The JSON of a manifest with one field replaced (`...` removes it)."""
    document = json.loads(to_json(manifest()))
    place = document
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("id", "2026-01-31", "id"),
        ("id", "20260231T020000Z", "id"),
        ("id", ..., "id: missing"),
        ("stack", None, "stack"),
        ("reason", "because", "reason"),
        ("started_at", "2026-01-31T02:00:00", "started_at"),
        ("pinned", 1, "pinned"),
        ("archive.size_bytes", -1, "archive.size_bytes"),
        ("archive.size_bytes", True, "archive.size_bytes"),
        ("archive.size_bytes", 1.5, "archive.size_bytes"),
        ("archive.sha256", "abc", "archive.sha256"),
        ("archive.file", "../../etc/passwd", "archive.file"),
        ("archive.file", ".hidden", "archive.file"),
        ("archive.extra", 1, "archive.extra: an unknown key"),
        ("database", [], "database"),
        ("database.settings.0.value", 5, "database.settings[0].value"),
        ("tables.1.row_count", "3", "tables[1].row_count"),
        ("tables.0.checksum", "xyz", "tables[0].checksum"),
        ("tables.0", None, "tables[0]"),
        ("version", "2.0", "version"),
        ("version", 1, "version"),
        ("format", "something", "format"),
        ("surplus", 1, "surplus: an unknown key"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(path: str, value: Any, told: str) -> None:
    with pytest.raises(ManifestInvalid, match=r"20260131T020000Z\.json") as caught:
        from_json(changed(path, value), "20260131T020000Z.json")

    assert caught.value.cause.startswith(told)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"text"', "{}", "\udcff", '{"format": NaN}', "[" * 100_000, b"\xff\xfe", b"\0"]
)
def test_what_is_no_manifest_at_all_is_invalid_and_nothing_worse(text: str | bytes) -> None:
    with pytest.raises(ManifestInvalid):
        from_json(text, "x.json")


@given(st.binary(max_size=200))
def test_garbage_is_invalid_and_nothing_worse(garbage: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        from_json(garbage, "x.json")


def test_a_later_minor_version_is_read_and_its_keys_are_kept_when_it_is_rewritten() -> None:
    document = json.loads(to_json(manifest()))
    document["version"] = "1.7"
    document["colour"] = "green"
    document["archive"]["chunks"] = [1, 2]
    later = json.dumps(document)

    read = from_json(later, "x.json")
    rewritten = json.loads(merged(later, manifest(pinned=True)))

    assert read == manifest()
    assert rewritten["colour"] == "green"
    assert rewritten["archive"]["chunks"] == [1, 2]
    assert rewritten["version"] == "1.7"
    assert from_json(json.dumps(rewritten), "x.json") == manifest(pinned=True)


def test_settings_that_are_named_like_secrets_are_masked() -> None:
    from dataclasses import replace

    bare = replace(
        FACTS, settings=(("", "app.jwt_secret", "canary"), ("", "app.api_key", "canary"), ("", "TimeZone", "UTC"))
    )

    masked = without_secrets(bare)

    assert masked.settings == (("", "app.jwt_secret", MASK), ("", "app.api_key", MASK), ("", "TimeZone", "UTC"))
    assert "canary" not in to_json(manifest(database=masked))
