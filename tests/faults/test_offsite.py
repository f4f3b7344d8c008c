"""Faults of the way off-site and of what lies there: no part is ever taken for a copy, and the next run makes it good.

Case 17 of docs/faults.md, and the remote half of case 13, against an S3 server over HTTP.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from ops.actions.list_backups import list_backups
from ops.actions.offsite import Target, catalog, copy_to_all, sync
from ops.actions.restore import RestoreRequest, newest_good
from ops.actions.verify import refuse_problems
from ops.actions.verify_offsite import verify_offsite
from ops.adapters.archive_folder import ArchiveFolder
from ops.errors import ArchiveCorrupt, BackupNotFound, OffsiteFailed
from ops.model.retention_policy import Policy
from tests.adapters.offsite_proxy import Proxy
from tests.adapters.offsite_server import running_s3
from tests.adapters.postgres.restoring import STACK, Stack, make_stack
from tests.fakes.clock import FakeClock
from tests.faults.offsite import NOISE, Bench, DyingReporter, dying_at, in_a_child, killed_after

pytestmark = pytest.mark.postgres
LATEST = RestoreRequest(is_latest=True)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with running_s3() as url:
        yield url


@pytest.fixture
def bench(stack: Stack, s3_url: str) -> Iterator[Bench]:
    bucket = f"opstest-{secrets.token_hex(4)}"
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    made = Bench(stack, s3_url, bucket)
    yield made
    made.close()


def is_whole_here_and_there(bench: Bench, backup_id: str) -> bool:
    here = bench.stack.tools.archives
    manifest = here.find(backup_id)
    here.check(manifest, bench.stack.report)
    same = bench.content(manifest.archive) == here.path(manifest).read_bytes()
    return same and manifest.offsite == ("s3",) and backup_id in bench.there()


def test_an_upload_that_is_cut_in_its_second_part_leaves_nothing_there_and_is_done_by_the_next_run(
    bench: Bench,
) -> None:
    bench.stack.run(NOISE)
    taken = bench.stack.backup()
    assert taken.size_bytes > 5 << 20

    with Proxy(bench.url, lambda method, path, _: "cut" if method == "PUT" and "partNumber=2" in path else "") as line:
        _, failures = copy_to_all(taken, [Target(bench.store(line.url))], bench.tools())

    assert len(failures) == 1
    assert bench.store().sizes() == {}
    assert bench.unfinished() == []
    assert bench.stack.tools.archives.find(taken.id) == taken
    assert bench.sync().uploaded == (taken.id,)
    assert is_whole_here_and_there(bench, taken.id)


def test_a_delete_that_is_refused_stays_pending_in_the_catalog_and_is_done_by_the_next_run(bench: Bench) -> None:
    older = bench.stack.backup()
    bench.sync()
    newer = bench.stack.backup()
    policy = Policy(keep_last=1)

    with (
        Proxy(bench.url, lambda method, *_: "403" if method == "DELETE" else "") as line,
        pytest.raises(OffsiteFailed) as refused,
    ):
        sync(Target(bench.store(line.url), policy), bench.tools())

    found = catalog(bench.store(), STACK)
    assert "lacks a right" in str(refused.value.hint)
    assert found.condemned == (older.id,)
    assert f"{older.id}: its removal is not finished" in found.odd
    assert [one.id for one in found.manifests] == [newer.id, older.id]
    assert bench.sync(policy).removed == (older.id,)
    assert set(bench.store().sizes()) == {newer.archive, f"{newer.id}.json"}


def rejects_checksums(headers: Mapping[str, str]) -> str:
    odd = [name for name in headers if "checksum" in name or name == "x-amz-trailer"]
    return "NotImplemented" if odd or "aws-chunked" in headers.get("content-encoding", "") else ""


def test_a_store_that_rejects_checksum_headers_takes_copies_in_one_and_in_parts_and_gives_them_back(
    bench: Bench, tmp_path: Path
) -> None:
    small = bench.stack.backup()
    bench.stack.run(NOISE)
    large = bench.stack.backup()

    with Proxy(bench.url, dislikes=rejects_checksums) as line:
        old = replace(bench, url=line.url)
        assert old.sync().uploaded == (large.id, small.id)
        new = Bench(make_stack(bench.stack.endpoint, tmp_path / "new"), line.url, bench.bucket)
        for one in catalog(old.store(), STACK).manifests:
            new.fetch(one)
        assert old.sync(Policy(keep_last=1)).removed == (small.id,)
        new.close()

    assert {one.id for one in new.stack.tools.archives.manifests()} == {small.id, large.id}
    assert is_whole_here_and_there(bench, large.id)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_the_store_finds_wrong_fails_the_copy_says_so_and_costs_nothing(
    bench: Bench, ahead: timedelta
) -> None:
    """As S3 does it: a signature more than 15 minutes off its own clock is refused."""

    def by_its_own_clock(headers: Mapping[str, str]) -> str:
        signed = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        theirs = datetime.now(UTC) + ahead
        return "RequestTimeTooSkewed" if abs(theirs - signed) > timedelta(minutes=15) else ""

    taken = bench.stack.backup()

    with Proxy(bench.url, dislikes=by_its_own_clock) as line:
        target = Target(bench.store(line.url))
        _, failures = copy_to_all(taken, [target], bench.tools())
        with pytest.raises(OffsiteFailed) as skewed:
            sync(target, bench.tools())

    assert "RequestTimeTooSkewed" in failures[0]
    assert "timedatectl" in str(skewed.value.hint)
    assert bench.store().sizes() == {}
    assert bench.stack.tools.archives.manifests() == (taken,)
    assert bench.sync().uploaded == (taken.id,)


UPLOAD_STEPS = ["cleaned", "archive uploaded", "manifest uploaded", "marked"]


@pytest.mark.parametrize("step", UPLOAD_STEPS)
def test_an_upload_killed_after_any_step_is_a_whole_copy_or_none_and_the_next_run_completes_it(
    bench: Bench, step: str
) -> None:
    taken = bench.stack.backup()

    ended = in_a_child(lambda: bench.copy(taken, checkpoint=dying_at(step)))

    assert ended == -9
    is_copied = step in {"manifest uploaded", "marked"}
    assert bench.there() == ([taken.id] if is_copied else [])
    bench.stack.tools.archives.check(taken, bench.stack.report)
    assert bench.sync().uploaded == (() if is_copied else (taken.id,))
    assert is_whole_here_and_there(bench, taken.id)
    assert catalog(bench.store(), STACK).odd == ()


def test_an_upload_killed_between_its_parts_shows_nothing_is_done_again_and_its_parts_go_in_time(bench: Bench) -> None:
    bench.stack.run(NOISE)
    taken = bench.stack.backup()

    ended = in_a_child(lambda: bench.copy(taken, report=DyingReporter("upload to s3")))

    assert ended == -9
    (begun,) = bench.unfinished()  # moto's is always the same
    assert bench.store().sizes() == {}
    soon, later = (replace(bench.tools(), clock=FakeClock(begun + timedelta(days=days))) for days in (1, 3))
    assert sync(Target(bench.store()), soon).uploaded == (taken.id,)
    assert is_whole_here_and_there(bench, taken.id)
    assert bench.unfinished() == [begun], "it might be another machine's"
    copy_to_all(taken, [Target(bench.store())], later)  # the next copy cleans up, without a schedule too
    assert bench.unfinished() == []


SYNC_STEPS = ["cleaned", "archive uploaded", "manifest uploaded", "marked", "pins carried over", "condemned"]
SYNC_STEPS += ["manifest removed there", "archive removed there"]


@pytest.mark.parametrize("step", SYNC_STEPS)
def test_a_sync_killed_after_any_step_leaves_whole_copies_only_and_the_next_one_brings_all_in_step(
    bench: Bench, step: str
) -> None:
    archives, policy = bench.stack.tools.archives, Policy(keep_last=1)
    older = bench.stack.backup()
    bench.sync(policy)
    newer = bench.stack.backup()

    ended = in_a_child(lambda: bench.sync(policy, checkpoint=dying_at(step)))

    assert ended == -9
    for one in catalog(bench.store(), STACK).manifests:
        assert bench.content(one.archive) == archives.path(one).read_bytes()
    for one in (older, newer):
        archives.check(one, bench.stack.report)
    bench.sync(policy)
    assert set(bench.store().sizes()) == {newer.archive, f"{newer.id}.json"}
    assert catalog(bench.store(), STACK).odd == ()
    bench.sync(policy)
    assert [archives.find(one.id).offsite for one in (older, newer)] == [(), ("s3",)]


@pytest.mark.parametrize("attempt", range(int(os.environ.get("OPS_REPEAT", "1"))))
def test_a_sync_killed_at_a_random_moment_leaves_whole_copies_only_and_the_next_one_brings_all_in_step(
    bench: Bench, attempt: int
) -> None:
    moment = random.Random(f"{os.environ.get('OPS_SEED', '7')} {attempt}")
    archives, policy = bench.stack.tools.archives, Policy(keep_last=1)
    bench.stack.backup()
    bench.sync(policy)
    bench.stack.run(NOISE)
    newer = bench.stack.backup()

    killed_after(moment.uniform(0.1, 2.0), lambda: bench.sync(policy))

    for one in catalog(bench.store(), STACK).manifests:
        assert bench.content(one.archive) == archives.path(one).read_bytes()
    bench.sync(policy)
    assert bench.there() == [newer.id]
    assert set(bench.store().sizes()) == {newer.archive, f"{newer.id}.json"}
    assert is_whole_here_and_there(bench, newer.id)


FETCH_STEPS = ["begun", "written", "flushed", "read back", "manifest written", "archive renamed", "manifest renamed"]


@pytest.mark.parametrize("step", ["in the middle", *FETCH_STEPS])
def test_a_fetch_killed_after_any_step_is_a_whole_backup_here_or_none_and_the_same_command_succeeds(
    bench: Bench, tmp_path: Path, step: str
) -> None:
    taken = bench.stack.backup()
    bench.sync()
    found = catalog(bench.store(), STACK).find(taken.id)
    new = Bench(make_stack(bench.stack.endpoint, tmp_path / "new"), bench.url, bench.bucket)

    def work() -> None:
        dying = ArchiveFolder(tmp_path / "new" / "backups", STACK, checkpoint=dying_at(step))
        new.stack.tools = replace(new.stack.tools, archives=dying)
        new.fetch(found, report=DyingReporter("download") if step == "in the middle" else None)

    ended = in_a_child(work)

    here = new.stack.tools.archives
    assert ended == -9
    assert [one.id for one in here.manifests()] == ([taken.id] if step == "manifest renamed" else [])
    new.fetch(found)
    bench.stack.run("DELETE FROM books")
    new.stack.restore(is_latest=True)
    assert bench.stack.run("SELECT count(*) FROM books") == [(40_000,)]
    assert here.broken() == ()
    new.close()


def flipped(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]


DAMAGES = {f"cut at {share}": lambda content, share=share: content[: len(content) * share // 100]
           for share in (50, 90, 99)} | {"flipped": flipped, "gone": None}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_copy_that_was_damaged_there_is_found_counts_no_more_and_is_copied_again(
    bench: Bench, tmp_path: Path, how: str
) -> None:
    taken = bench.stack.backup()
    bench.sync()
    change = DAMAGES[how]
    if change is None:
        bench.store().delete(taken.archive)
    else:
        bench.put(taken.archive, change(bench.content(taken.archive)))

    with suppress(BackupNotFound):  # where the catalog lists it still, only reading it tells
        found = catalog(bench.store(), STACK).find(taken.id)
        new = Bench(make_stack(bench.stack.endpoint, tmp_path / "new"), bench.url, bench.bucket)
        with pytest.raises(OffsiteFailed, match="did not arrive"):
            new.fetch(found)
        assert new.stack.tools.archives.manifests() == ()
        new.close()
    results, damaged = verify_offsite([], store=bench.store(), tools=bench.tools())
    with pytest.raises(ArchiveCorrupt, match=taken.id):
        refuse_problems(results, damaged)

    now_there = catalog(bench.store(), STACK)
    with pytest.raises(BackupNotFound):
        newest_good(LATEST, now_there.manifests, (), datetime.now(UTC), bench.stack.report)
    assert any(taken.id in text for text in now_there.odd)
    assert list_backups(bench.stack.tools.archives, bench.stack.tools.clock, bench.stack.report)[0]["offsite"] == []
    assert bench.sync().uploaded == (taken.id,)
    results, damaged = verify_offsite([], store=bench.store(), tools=bench.tools())
    refuse_problems(results, damaged)
    assert is_whole_here_and_there(bench, taken.id)
