"""Which JSON is a manifest, and which manifest is a JSON?

The version is `major.minor`. A later minor only adds keys: this version reads such a manifest, leaves what it does
not know alone, and keeps it when it rewrites the file (`merged`). Another major is refused, and so is an unknown key
in a version that we do know. docs/format.md describes every key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, NoReturn, get_args

from ops.errors import ManifestInvalid
from ops.model.backup_id import is_id
from ops.model.database import DatabaseFacts, DatabaseKind, Role, TableSummary
from ops.model.json_fields import FieldError, Fields
from ops.model.manifest import MANIFEST_VERSION, ArchiveFormat, Codec, Drill, Environment, Manifest, Reason

FORMAT: Final = "ops-backup"
MINOR: Final = 0

_ENVIRONMENTS: Final[dict[str, Environment]] = {word: word for word in get_args(Environment)}
_REASONS: Final[dict[str, Reason]] = {word: word for word in get_args(Reason)}
_FORMATS: Final[dict[str, ArchiveFormat]] = {word: word for word in get_args(ArchiveFormat)}
_CODECS: Final[dict[str, Codec]] = {word: word for word in get_args(Codec)}
_KINDS: Final[dict[str, DatabaseKind]] = {word: word for word in get_args(DatabaseKind)}
_ENCRYPTIONS: Final[dict[str, Literal["age"]]] = {"age": "age"}
_IS_SHA256: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_IS_CHECKSUM: Final = re.compile(r"[0-9a-f]+").fullmatch
_IS_PLAIN_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*").fullmatch


_KEYS: Final = frozenset((
    "format", "version", "id", "stack", "environment", "reason", "note", "started_at", "finished_at", "archive",
    "revisions", "database", "tables", "pinned", "pin_note", "expires_at", "verified_at", "drill", "suspicious",
    "acknowledged", "offsite",
))  # fmt: skip
_ARCHIVE_KEYS: Final = frozenset((
    "file", "format", "codec", "size_bytes", "sha256", "plain_size_bytes", "plain_sha256", "encryption", "tool_version",
    "restore_by_hand",
))  # fmt: skip
_DATABASE_KEYS: Final = frozenset((
    "kind", "name", "server_version", "server_major", "system_identifier", "size_bytes", "encoding", "locale_provider",
    "collate", "ctype", "locale", "owner", "connection_limit", "extensions", "settings", "grants", "roles",
))  # fmt: skip


def _refuse_constant(name: str) -> NoReturn:
    raise FieldError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def to_json(manifest: Manifest) -> str:
    """The manifest as indented JSON, ASCII only, with a final newline."""
    return _text(_document(manifest))


def merged(old: str, manifest: Manifest) -> str:
    """The manifest as JSON over the text it was read from: keys of a later minor version are kept."""
    document = json.loads(old)
    new = _document(manifest)
    if isinstance(document, dict) and _minor(Fields(document)) > MINOR:
        new = {**document, **_merged_children(document, new), "version": document["version"]}
    return _text(new)


def from_json(text: str | bytes, name: str) -> Manifest:
    """Read a manifest.

    Args:
        text: the file's contents.
        name: the file's name, for the error.

    Raises: ManifestInvalid, with the path of the first wrong field.
    """
    try:
        fields = Fields(_DECODER.decode(text if isinstance(text, str) else text.decode()))
        return _manifest(fields, is_later=_minor(fields) > MINOR)
    except (ValueError, RecursionError) as exc:
        raise ManifestInvalid(
            f"the manifest {name} cannot be read", cause=str(exc) or type(exc).__name__, hint="inv backups"
        ) from exc


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _merged_children(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    """`new`, with what the objects within `old` hold beside our own keys."""
    return {
        key: {**before, **value} if isinstance(value, dict) and isinstance(before := old.get(key), dict) else value
        for key, value in new.items()
    }


def _document(manifest: Manifest) -> dict[str, object]:
    drill = manifest.drill
    return {
        "format": FORMAT,
        "version": f"{manifest.version}.{MINOR}",
        "id": manifest.id,
        "stack": manifest.stack,
        "environment": manifest.environment,
        "reason": manifest.reason,
        "note": manifest.note,
        "started_at": manifest.started_at.isoformat(),
        "finished_at": manifest.finished_at.isoformat(),
        "archive": {
            "file": manifest.archive,
            "format": manifest.format,
            "codec": manifest.codec,
            "size_bytes": manifest.size_bytes,
            "sha256": manifest.sha256,
            "plain_size_bytes": manifest.plain_size_bytes,
            "plain_sha256": manifest.plain_sha256,
            "encryption": manifest.encryption,
            "tool_version": manifest.tool_version,
            "restore_by_hand": manifest.restore_by_hand,
        },
        "revisions": list(manifest.revisions),
        "database": _database_document(manifest.database),
        "tables": [
            {"name": table.name, "row_count": table.row_count, "checksum": table.checksum} for table in manifest.tables
        ],
        "pinned": manifest.pinned,
        "pin_note": manifest.pin_note,
        "expires_at": _time_text(manifest.expires_at),
        "verified_at": _time_text(manifest.verified_at),
        "drill": None
        if drill is None
        else {
            "at": drill.at.isoformat(),
            "duration_s": drill.duration_s,
            "server_version": drill.server_version,
            "by": drill.by,
        },
        "suspicious": list(manifest.suspicious),
        "acknowledged": manifest.acknowledged,
        "offsite": list(manifest.offsite),
    }


def _database_document(facts: DatabaseFacts) -> dict[str, object]:
    return {
        "kind": facts.kind,
        "name": facts.name,
        "server_version": facts.server_version,
        "server_major": facts.server_major,
        "system_identifier": facts.system_identifier,
        "size_bytes": facts.size_bytes,
        "encoding": facts.encoding,
        "locale_provider": facts.locale_provider,
        "collate": facts.collate,
        "ctype": facts.ctype,
        "locale": facts.locale,
        "owner": facts.owner,
        "connection_limit": facts.connection_limit,
        "extensions": dict(facts.extensions),
        "settings": [{"role": role, "name": name, "value": value} for role, name, value in facts.settings],
        "grants": list(facts.grants),
        "roles": [{"name": role.name, "attributes": list(role.attributes)} for role in facts.roles],
    }


def _manifest(top: Fields, *, is_later: bool) -> Manifest:
    archive, database = top.child("archive"), top.child("database")
    stack, note, pin_note = top.several_texts("stack", "note", "pin_note")
    tool_version, restore_by_hand = archive.several_texts("tool_version", "restore_by_hand")
    drill = top.optional_child("drill")
    manifest = Manifest(
        id=top.text_like("id", is_id),
        stack=stack,
        environment=top.word("environment", _ENVIRONMENTS),
        reason=top.word("reason", _REASONS),
        note=note,
        started_at=top.time("started_at"),
        finished_at=top.time("finished_at"),
        archive=archive.text_like("file", _IS_PLAIN_NAME),
        format=archive.word("format", _FORMATS),
        codec=archive.word("codec", _CODECS),
        size_bytes=archive.integer("size_bytes"),
        sha256=archive.text_like("sha256", _IS_SHA256),
        plain_size_bytes=archive.integer("plain_size_bytes"),
        plain_sha256=archive.text_like("plain_sha256", _IS_SHA256),
        encryption=_encryption(archive),
        tool_version=tool_version,
        restore_by_hand=restore_by_hand,
        revisions=top.texts("revisions"),
        database=_facts(database),
        tables=_tables(top),
        pinned=top.flag("pinned"),
        pin_note=pin_note,
        expires_at=top.optional_time("expires_at"),
        verified_at=top.optional_time("verified_at"),
        drill=None
        if drill is None
        else Drill(drill.time("at"), drill.number("duration_s"), drill.text("server_version"), drill.text("by")),
        suspicious=top.texts("suspicious"),
        acknowledged=top.flag("acknowledged"),
        offsite=top.texts("offsite"),
        version=MANIFEST_VERSION,
    )
    if not is_later:
        top.refuse_others(_KEYS)
        archive.refuse_others(_ARCHIVE_KEYS)
        database.refuse_others(_DATABASE_KEYS)
    return manifest


def _facts(fields: Fields) -> DatabaseFacts:
    name, version, system, encoding, provider, collate, ctype, locale, owner = fields.several_texts(
        "name", "server_version", "system_identifier", "encoding", "locale_provider", "collate", "ctype", "locale",
        "owner",
    )  # fmt: skip
    return DatabaseFacts(
        kind=fields.word("kind", _KINDS),
        name=name,
        server_version=version,
        server_major=fields.integer("server_major"),
        system_identifier=system,
        size_bytes=fields.integer("size_bytes"),
        encoding=encoding,
        locale_provider=provider,
        collate=collate,
        ctype=ctype,
        locale=locale,
        owner=owner,
        connection_limit=fields.integer("connection_limit", at_least=None),
        extensions=fields.text_map("extensions"),
        settings=fields.objects("settings", _setting),
        grants=fields.texts("grants"),
        roles=fields.objects("roles", _role),
    )


def _setting(fields: Fields) -> tuple[str, str, str]:
    role, name, value = fields.several_texts("role", "name", "value")
    return role, name, value


def _role(fields: Fields) -> Role:
    return Role(fields.text("name"), fields.texts("attributes"))


def _tables(top: Fields) -> tuple[TableSummary, ...]:
    return tuple([_table(item, position) for position, item in enumerate(top.items("tables"))])


def _table(item: object, position: int) -> TableSummary:
    """One entry of `tables`; the short way, because a catalog has a hundred thousand of them, has no error texts."""
    if type(item) is dict:
        name, count, checksum = item.get("name"), item.get("row_count"), item.get("checksum")
        if type(name) is str and type(count) is int and count >= 0 and type(checksum) is str and _IS_CHECKSUM(checksum):
            return TableSummary(name, count, checksum)
    fields = Fields(item, f"tables[{position}]")
    return TableSummary(fields.text("name"), fields.integer("row_count"), fields.text_like("checksum", _IS_CHECKSUM))


def _encryption(archive: Fields) -> Literal["age"] | None:
    return None if archive.optional_text("encryption") is None else archive.word("encryption", _ENCRYPTIONS)


def _minor(fields: Fields) -> int:
    """The minor version of a document of ours; raises for anything else."""
    if fields.text("format") != FORMAT:
        raise FieldError(f"format: {FORMAT} is wanted: this is no manifest of a backup")
    major, _, minor = fields.text("version").partition(".")
    if major != str(MANIFEST_VERSION) or not minor.isdecimal():
        raise FieldError(f"version: {fields.text('version')} is unknown, this program reads {MANIFEST_VERSION}.x")
    return int(minor)


def _time_text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
