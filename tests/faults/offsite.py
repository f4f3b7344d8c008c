"""What do the off-site fault tests share: a stack with a large backup, a bucket, and a process that dies in between."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import boto3

from ops.actions.fetch import fetch
from ops.actions.offsite import OffsiteTools, Synced, Target, catalog, copy_to_all, sync
from ops.adapters.offsite_s3 import Credentials, S3Store
from ops.model.manifest import Manifest
from ops.model.offsite import OffsiteTarget
from ops.model.retention_policy import Policy
from ops.model.secret import Secret
from tests.adapters.postgres.restoring import STACK, Stack
from tests.fakes.reporter import RecordingReporter

PART = 5 << 20
"""The smallest part that S3 takes."""
NOISE = (
    "INSERT INTO words SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 330000) n GROUP BY n % 9"
)
"""Enough that an archive goes up in two parts."""


def in_a_child(work: Callable[[], object]) -> int:
    """Run in a process of its own; gives how it ended, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(step: str) -> Callable[[str], None]:
    """A checkpoint that does not come back from one step."""

    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def killed_after(delay_s: float, work: Callable[[], object]) -> None:
    """Run in a process of its own that is killed after a while, unless it is done by then."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


class DyingReporter(RecordingReporter):
    """Does not come back from the first progress of one kind."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Die when bytes have moved."""
        if what == self._what and done:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Bench:
    """A stack, and a bucket of its own that `url` leads to."""

    stack: Stack
    url: str
    bucket: str
    _opened: dict[tuple[int, str], S3Store] = field(default_factory=dict)
    """By process and URL: a forked child shares no connection with us."""

    def store(self, url: str = "") -> S3Store:
        """A store of this bucket, straight or by way of a proxy."""
        key = (os.getpid(), url or self.url)
        if key not in self._opened:
            target = OffsiteTarget("s3", "s3", bucket=self.bucket, endpoint_url=key[1], region="us-east-1")
            self._opened[key] = S3Store(target, STACK, Credentials("k", Secret("s")), attempts=2, part_bytes=PART)
        return self._opened[key]

    def close(self) -> None:
        """Close what was opened."""
        for one in self._opened.values():
            one.close()

    def tools(self, checkpoint: Callable[[str], None] = lambda _: None, report=None) -> OffsiteTools:
        """The stack's catalog, lock and clock."""
        given = self.stack.tools
        return OffsiteTools(
            given.archives, given.lock, given.clock, report or self.stack.report, STACK, checkpoint=checkpoint
        )

    def copy(self, manifest: Manifest, **how) -> tuple[Manifest, tuple[str, ...]]:
        return copy_to_all(manifest, [Target(self.store())], self.tools(**how))

    def sync(self, policy: Policy | None = None, **how) -> Synced:
        return sync(Target(self.store(), policy), self.tools(**how))

    def fetch(self, manifest: Manifest, **how) -> Manifest:
        return fetch(manifest, self.store(), self.tools(**how))

    def there(self) -> list[str]:
        """The ids of what counts as a backup in the bucket."""
        return [one.id for one in catalog(self.store(), STACK).manifests]

    def content(self, name: str) -> bytes:
        return self.store().read(name)

    def put(self, name: str, content: bytes) -> None:
        """What somebody else, or a bad disk, makes of an object."""
        client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
        )
        client.put_object(Bucket=self.bucket, Key=f"{STACK}/{name}", Body=content)
        client.close()

    def unfinished(self) -> list[datetime]:
        """When each multipart upload began that nobody has ended."""
        client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
        )
        found = client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        client.close()
        return [one["Initiated"] for one in found]
