"""How are a stack's backups kept in a bucket of S3-compatible storage?

An object appears whole or not at all: that is S3's promise for a PUT and for the end of a multipart upload. What is
there is read back and hashed by us; the store's own checksums are asked for only where it requires them, because many
compatible stores reject them (boto/boto3#4392). Requests are retried by botocore.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3.session  # type: ignore[import-untyped]
from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # type: ignore[import-untyped]

from ops.errors import OffsiteFailed
from ops.model.offsite import OffsiteTarget
from ops.model.secret import Secret
from ops.ports import Reporter

_PART_BYTES: Final = 16 << 20
_READ_BYTES: Final = 1 << 20
_READ_ATTEMPTS: Final = 3
_ABANDONED: Final = timedelta(days=2)
"""An unfinished multipart upload so old is nobody's any more."""
_HINTS: Final = {
    "RequestTimeTooSkewed": "this machine's clock is wrong: timedatectl",
    "AccessDenied": "the key lacks a right: docs/offsite.md lists them",
    "403": "the key lacks a right: docs/offsite.md lists them",
    "NoSuchBucket": "make the bucket first",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The usual AWS variables; all empty: boto3 looks where it usually does."""

    key_id: str = ""
    secret: Secret | None = None
    token: Secret | None = None


class S3Store:
    """The `OffsiteStore` port on a bucket.

    Args:
        target: bucket, prefix, endpoint, region.
        stack: whose; a folder in the prefix.
        credentials: the usual variables' values.
        attempts: how often botocore tries each request.
        part_bytes: how much one part of a large upload has.
    """

    def __init__(
        self,
        target: OffsiteTarget,
        stack: str,
        credentials: Credentials,
        *,
        attempts: int = 5,
        part_bytes: int = _PART_BYTES,
    ) -> None:
        self._target = target
        self._prefix = "/".join(part for part in (target.prefix, stack) if part) + "/"
        self._part_bytes = part_bytes
        session = boto3.session.Session(
            aws_access_key_id=credentials.key_id or None,
            aws_secret_access_key=_revealed(credentials.secret),
            aws_session_token=_revealed(credentials.token),
        )
        with _translated(self.place, "set up"):
            self._client: Any = session.client(
                "s3",
                endpoint_url=target.endpoint_url or None,
                region_name=target.region or None,
                config=Config(
                    connect_timeout=10,
                    read_timeout=60,
                    retries={"mode": "standard", "total_max_attempts": attempts},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": "path"} if target.endpoint_url else {},
                ),
            )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def name(self) -> str:
        """What the target is called."""
        return self._target.name

    @property
    def place(self) -> str:
        """Where it is, for people."""
        at = f" at {self._target.endpoint_url}" if self._target.endpoint_url else ""
        return f"s3://{self._target.bucket}/{self._prefix}{at}"

    def sizes(self) -> Mapping[str, int]:
        """Every object of this stack -> its size in bytes."""
        found: dict[str, int] = {}
        with _translated(self.place, "list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._target.bucket, Prefix=self._prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    found[item["Key"].removeprefix(self._prefix)] = int(item["Size"])
        return found

    def read(self, name: str) -> bytes:
        """A small object."""
        return b"".join(self.blocks(name))

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a small object."""
        with _translated(self.place, f"write {name} to"):
            self._client.put_object(Body=content, ContentType="application/json", **self._key(name))

    def upload(self, path: Path, name: str, sha256: str, report: Reporter) -> None:
        """Copy a local file there, in parts where it is large, and read it back."""
        total, sent = path.stat().st_size, _Count()

        def count(more: int) -> None:
            sent.done += more
            report.progress(f"upload to {self.name}", min(sent.done, total), total)

        with _translated(self.place, f"upload {name} to"):
            self._client.upload_file(
                str(path),
                self._target.bucket,
                self._prefix + name,
                ExtraArgs={"Metadata": {"sha256": sha256}, "ContentType": "application/octet-stream"},
                Config=TransferConfig(
                    multipart_threshold=self._part_bytes, multipart_chunksize=self._part_bytes, max_concurrency=2
                ),
                Callback=count,
            )
        self._refuse_difference(name, total, sha256, report)

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of an object."""
        with _translated(self.place, f"read {name} from"):
            body = self._client.get_object(**self._key(name))["Body"]
            try:
                yield from body.iter_chunks(_READ_BYTES)
            finally:
                body.close()

    def delete(self, name: str) -> None:
        """Remove an object; harmless where it is not there."""
        with _translated(self.place, f"delete {name} from"):
            self._client.delete_object(**self._key(name))

    def clean(self, now: datetime) -> tuple[str, ...]:
        """End multipart uploads of this stack that were begun two days ago or earlier: they cost and are unseen."""
        ended = []
        with _translated(self.place, "look for unfinished uploads in"):
            found = self._client.list_multipart_uploads(Bucket=self._target.bucket, Prefix=self._prefix)
            for one in found.get("Uploads", ()):
                if now - one["Initiated"] > _ABANDONED:
                    self._client.abort_multipart_upload(
                        Bucket=self._target.bucket, Key=one["Key"], UploadId=one["UploadId"]
                    )
                    ended.append(f"an unfinished upload of {one['Key'].removeprefix(self._prefix)}")
        return tuple(ended)

    def _refuse_difference(self, name: str, size_bytes: int, sha256: str, report: Reporter) -> None:
        """Compare size and metadata, then read the object to its end; a read that breaks off is done again."""
        with _translated(self.place, f"look at {name} in"):
            head = self._client.head_object(**self._key(name))
        if head["ContentLength"] != size_bytes or head.get("Metadata", {}).get("sha256") != sha256:
            raise OffsiteFailed(
                f"{name} in {self.place} is not what was uploaded",
                cause=f"it has {head['ContentLength']} bytes, {size_bytes} were sent",
            )
        found = (0, "")
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                found = self._read_back(name, size_bytes, report)
                break
            except OffsiteFailed:
                if attempt == _READ_ATTEMPTS:
                    raise
        if found != (size_bytes, sha256):
            raise OffsiteFailed(
                f"{self.place} gives back another {name} than was uploaded",
                cause=f"{found[0]} bytes, SHA-256 {found[1][:16]}..., expected {size_bytes} bytes, {sha256[:16]}...",
            )

    def _read_back(self, name: str, total: int, report: Reporter) -> tuple[int, str]:
        digest, done = hashlib.sha256(), 0
        for block in self.blocks(name):
            digest.update(block)
            done += len(block)
            report.progress(f"read back from {self.name}", done, total)
        return done, digest.hexdigest()

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self._target.bucket, "Key": self._prefix + name}


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret else None


@dataclass(slots=True)
class _Count:
    done: int = 0


@contextmanager
def _translated(place: str, what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        raise OffsiteFailed(f"cannot {what} {place}", cause=str(exc), hint=_HINTS.get(code, "inv check")) from exc
    except (BotoCoreError, Boto3Error, HTTPClientError, OSError, ValueError) as exc:
        hint = next((text for code, text in _HINTS.items() if code in str(exc) and not code.isdigit()), "inv check")
        raise OffsiteFailed(f"cannot {what} {place}", cause=str(exc), hint=hint) from exc
