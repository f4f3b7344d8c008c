"""Do a bucket and a second folder keep one contract, and what does a bucket do when the line or the store fails?"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from ops.adapters.offsite_folder import FolderStore
from ops.adapters.offsite_s3 import Credentials, S3Store
from ops.errors import OffsiteFailed
from ops.model.offsite import OffsiteTarget
from ops.model.secret import Secret
from ops.ports import OffsiteStore
from tests.adapters.offsite_proxy import Proxy
from tests.adapters.offsite_server import running_s3
from tests.fakes.reporter import RecordingReporter

STACK = "opstest"
BUCKET = "backups"
PART = 5 << 20
"""The smallest part that S3 takes."""
KEYS = Credentials("opstest", Secret("opstest-secret"))


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with running_s3() as url:
        yield url


@pytest.fixture
def client(s3_url: str) -> Iterator[object]:
    made = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    made.create_bucket(Bucket=BUCKET)
    yield made
    for item in made.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        made.delete_object(Bucket=BUCKET, Key=item["Key"])
    for one in made.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
        made.abort_multipart_upload(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"])
    made.delete_bucket(Bucket=BUCKET)
    made.close()


def s3_store(url: str, stack: str = STACK, *, attempts: int = 2, bucket: str = BUCKET) -> S3Store:
    target = OffsiteTarget("s3", "s3", bucket=bucket, prefix="there", endpoint_url=url, region="us-east-1")
    return S3Store(target, stack, KEYS, attempts=attempts, part_bytes=PART)


@pytest.fixture
def bucket(s3_url: str, client: object) -> Iterator[S3Store]:
    store = s3_store(s3_url)
    yield store
    store.close()


@pytest.fixture(params=["s3", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> OffsiteStore:
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    (tmp_path / "there").mkdir()
    return FolderStore("folder", tmp_path / "there", STACK)


def local_file(folder: Path, size: int) -> tuple[Path, str]:
    path = folder / "some.dump"
    path.write_bytes(os.urandom(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def content_of(store: OffsiteStore, name: str) -> bytes:
    return b"".join(store.blocks(name))


@pytest.mark.parametrize("size", [0, 1000, PART + 12_345])
def test_what_is_uploaded_is_listed_with_its_size_and_comes_back_byte_for_byte(
    store: OffsiteStore, tmp_path: Path, size: int
) -> None:
    path, sha256 = local_file(tmp_path, size)

    store.upload(path, "one.dump", sha256, RecordingReporter())
    store.upload(path, "one.dump", sha256, RecordingReporter())

    assert store.sizes() == {"one.dump": size}
    assert content_of(store, "one.dump") == path.read_bytes()


def test_small_files_are_written_replaced_read_and_deleted_and_deleting_twice_is_harmless(store: OffsiteStore) -> None:
    assert store.sizes() == {}

    store.write("a.json", b"{}")
    store.write("a.json", b"[1]")

    assert store.read("a.json") == b"[1]"
    store.delete("a.json")
    store.delete("a.json")
    assert store.sizes() == {}
    with pytest.raises(OffsiteFailed):
        store.read("a.json")


def test_a_file_that_is_not_what_its_hash_says_is_never_taken_for_good(store: OffsiteStore, tmp_path: Path) -> None:
    path, _ = local_file(tmp_path, 1000)

    with pytest.raises(OffsiteFailed):
        store.upload(path, "one.dump", "0" * 64, RecordingReporter())


def test_two_stacks_do_not_see_each_other(s3_url: str, bucket: S3Store, tmp_path: Path) -> None:
    other = s3_store(s3_url, f"{STACK}-staging")
    bucket.write("a.json", b"{}")
    other.write("b.json", b"{}")

    assert (set(bucket.sizes()), set(other.sizes())) == ({"a.json"}, {"b.json"})
    other.close()


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    store = FolderStore("folder", tmp_path / "disk", STACK)

    for work in (store.sizes, lambda: store.write("a.json", b"{}")):
        with pytest.raises(OffsiteFailed, match="is not there"):
            work()
    assert not (tmp_path / "disk").exists()


def test_files_in_a_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path, sha256 = local_file(tmp_path, 10)
    before = os.umask(0)
    try:
        store = FolderStore("folder", tmp_path, STACK)
        store.upload(path, "one.dump", sha256, RecordingReporter())
        store.write("one.json", b"{}")
    finally:
        os.umask(before)

    assert {one.stat().st_mode & 0o777 for one in (tmp_path / STACK).iterdir()} == {0o600}
    assert (tmp_path / STACK).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("size", [100_000, 2 * PART + 1], ids=["in one", "in parts"])
def test_an_upload_that_is_always_cut_leaves_no_object_and_one_that_is_cut_once_succeeds(
    s3_url: str, bucket: S3Store, tmp_path: Path, size: int
) -> None:
    path, sha256 = local_file(tmp_path, size)

    def always(method: str, _path: str, _before: int) -> str:
        return "cut" if method == "PUT" else ""

    def once(method: str, _path: str, before: int) -> str:
        return "cut" if method == "PUT" and before == 0 else ""

    with Proxy(s3_url, always) as proxy:
        cut = s3_store(proxy.url)
        with pytest.raises(OffsiteFailed, match=r"cannot upload one\.dump"):
            cut.upload(path, "one.dump", sha256, RecordingReporter())
        cut.close()
    assert bucket.sizes() == {}
    with Proxy(s3_url, once) as proxy:
        retried = s3_store(proxy.url)
        retried.upload(path, "one.dump", sha256, RecordingReporter())
        retried.close()
    assert content_of(bucket, "one.dump") == path.read_bytes()


def test_a_store_that_answers_500_twice_is_asked_again(s3_url: str, bucket: S3Store) -> None:
    with Proxy(s3_url, lambda method, _path, before: "500" if method == "PUT" and before < 2 else "") as proxy:
        store = s3_store(proxy.url, attempts=4)
        store.write("a.json", b"{}")
        store.close()

    assert bucket.read("a.json") == b"{}"


def test_a_read_back_that_breaks_off_is_read_again_and_never_taken_for_whole(
    s3_url: str, bucket: S3Store, tmp_path: Path
) -> None:
    path, sha256 = local_file(tmp_path, 300_000)

    with Proxy(s3_url, lambda method, _path, before: "half" if method == "GET" and before == 0 else "") as proxy:
        store = s3_store(proxy.url)
        store.upload(path, "one.dump", sha256, RecordingReporter())
        store.close()
    with Proxy(s3_url, lambda method, _path, _before: "half" if method == "GET" else "") as proxy:
        store = s3_store(proxy.url)
        with pytest.raises(OffsiteFailed):
            store.upload(path, "two.dump", sha256, RecordingReporter())
        store.close()


def test_a_refused_delete_and_a_missing_bucket_say_what_to_look_at(s3_url: str, bucket: S3Store) -> None:
    bucket.write("a.json", b"{}")
    with Proxy(s3_url, lambda method, _path, _before: "403" if method == "DELETE" else "") as proxy:
        store = s3_store(proxy.url)
        with pytest.raises(OffsiteFailed, match=r"cannot delete a\.json") as refused:
            store.delete("a.json")
        store.close()
    nowhere = s3_store(s3_url, bucket="no-such-bucket")
    with pytest.raises(OffsiteFailed) as missing:
        nowhere.sizes()
    nowhere.close()

    assert bucket.read("a.json") == b"{}"
    assert "lacks a right" in str(refused.value.hint)
    assert missing.value.hint == "make the bucket first"


def test_requests_carry_no_checksum_that_a_compatible_store_may_reject(bucket: S3Store) -> None:
    seen: list[str] = []
    bucket._client.meta.events.register(
        "before-send.s3", lambda request, **_: seen.extend(name.lower() for name in request.headers) or None
    )

    bucket.write("a.json", b"{}")
    bucket.read("a.json")

    assert seen
    assert [name for name in seen if "checksum" in name or name == "x-amz-trailer"] == []


def test_a_store_that_is_down_fails_within_its_attempts(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = s3_store(f"http://127.0.0.1:{port}", attempts=1)

    with pytest.raises(OffsiteFailed, match="cannot list"):
        store.sizes()
    store.close()


def test_only_unfinished_uploads_that_are_days_old_and_ours_are_ended(bucket: S3Store, client) -> None:
    client.create_multipart_upload(Bucket=BUCKET, Key=f"there/{STACK}/left.dump")
    client.create_multipart_upload(Bucket=BUCKET, Key="there/another/left.dump")
    begun = client.list_multipart_uploads(Bucket=BUCKET)["Uploads"][0]["Initiated"]  # moto's is always the same

    assert bucket.clean(begun + timedelta(hours=47)) == ()
    assert bucket.clean(begun + timedelta(hours=49)) == ("an unfinished upload of left.dump",)
    left = client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [one["Key"] for one in left] == ["there/another/left.dump"]


def test_in_a_folder_what_a_killed_copy_left_goes_when_nobody_wrote_to_it_for_two_days(tmp_path: Path) -> None:
    folder = tmp_path / STACK
    folder.mkdir()
    left, strange = folder / "20260131T020000Z.dump.partial", folder / "somebodys.partial"
    left.touch()
    strange.touch()
    begun = datetime.fromtimestamp(left.stat().st_mtime, UTC)
    store = FolderStore("folder", tmp_path, STACK)

    assert store.clean(begun + timedelta(hours=47)) == ()
    assert store.clean(begun + timedelta(hours=49)) == ("an unfinished copy 20260131T020000Z.dump.partial",)
    assert list(folder.iterdir()) == [strange]


def test_in_a_folder_a_copy_that_gets_its_name_at_this_moment_fails_no_cleaning(tmp_path: Path) -> None:
    folder, is_over = tmp_path / STACK, threading.Event()
    folder.mkdir()

    def copy() -> None:
        while not is_over.is_set():
            (folder / "20260131T020000Z.dump.partial").write_bytes(b"archive")
            (folder / "20260131T020000Z.dump.partial").rename(folder / "20260131T020000Z.dump")

    copying = threading.Thread(target=copy)
    copying.start()
    try:
        for _ in range(3000):
            assert FolderStore("folder", tmp_path, STACK).clean(datetime.now(UTC)) == ()
    finally:
        is_over.set()
        copying.join()


def test_no_error_shows_the_secret_key(s3_url: str) -> None:
    store = s3_store(s3_url, bucket="no-such-bucket")

    with pytest.raises(OffsiteFailed) as raised:
        store.write("a.json", b"{}")
    store.close()

    assert "opstest-secret" not in f"{raised.value.message}{raised.value.cause}{raised.value.hint}{KEYS!r}"
