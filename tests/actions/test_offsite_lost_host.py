"""The runbook, rehearsed: the host is gone, and all that is left is a bucket, the repository and the secret key."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import boto3
import pyrage
import pytest

from tests.adapters.offsite_proxy import Proxy
from tests.adapters.offsite_server import running_s3

CANARY = "a-canary-in-a-row"
PROJECT = """
[tool.ops]
alembic-config = "no-alembic.ini"
[tool.ops.retention]
keep-last = 3
[tool.ops.schedule]
backup = "daily 02:00"
[tool.ops.offsite]
kind = "s3"
bucket = "backups"
endpoint-url = "{url}"
retention = {{ keep-last = 2 }}
"""


class Host:
    """A machine with a SQLite database, the task runner, and its own copy of the project's settings."""

    def __init__(self, folder: Path, url: str, **environment: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.database = folder / "app.db"
        self.use(url)
        (folder / "tasks.py").write_text("from ops.cli import namespace\n")
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
        self.environment = {
            **kept, "PYTHONPATH": str(Path(__file__).parents[2]), "OPS_ENGINE": "url",
            "DATABASE_URL": f"sqlite:///{self.database}", "COMPOSE_PROJECT_NAME": "opstest",
            "AWS_ACCESS_KEY_ID": "opstest", "AWS_SECRET_ACCESS_KEY": "opstest-secret-key", **environment,
        }  # fmt: skip

    def use(self, url: str) -> None:
        (self.folder / "pyproject.toml").write_text(PROJECT.format(url=url))

    def inv(self, *arguments: str, exit_code: int = 0) -> str:
        done = subprocess.run(
            [Path(sys.executable).parent / "inv", *arguments], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert "opstest-secret-key" not in done.stdout + done.stderr
        return done.stdout if exit_code == 0 else done.stderr

    def journal(self) -> list[dict]:
        (file,) = self.folder.glob(".ops/*/changes.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def rows(self) -> list[str]:
        with closing(sqlite3.connect(self.database)) as session:
            return [name for (name,) in session.execute("SELECT name FROM users ORDER BY name")]

    def add(self, name: str) -> None:
        with closing(sqlite3.connect(self.database)) as session, session:
            session.execute("CREATE TABLE IF NOT EXISTS users (name text)")
            session.execute("INSERT INTO users VALUES (?)", [name])


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with running_s3() as url:
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
        )
        client.create_bucket(Bucket="backups")
        client.close()
        yield url


def test_a_new_machine_gets_the_data_back_from_the_bucket_alone(s3_url: str, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity.txt").write_text(str(identity))
    old = Host(tmp_path / "old", s3_url, OPS_BACKUP_RECIPIENTS=str(identity.to_public()))
    old.add(CANARY)

    taken = json.loads(old.inv("backup", "--json"))
    assert taken["offsite"] == ["s3"]
    assert json.loads(old.inv("backups", "--json"))[0]["offsite"] == ["s3"]
    shutil.rmtree(old.folder)
    new = Host(tmp_path / "new", s3_url)
    refused = new.inv("restore", "--from", "s3", "--latest", "--yes", exit_code=40)
    assert "OPS_BACKUP_IDENTITY_FILE" in refused
    assert f"hint: inv restore --from s3 --file {taken['id']} --dry-run, for the whole plan" in refused
    assert not new.database.exists()
    new.environment["OPS_BACKUP_IDENTITY_FILE"] = str(tmp_path / "identity.txt")
    planned = json.loads(new.inv("restore", "--from", "s3", "--latest", "--dry-run", "--json"))
    restored = json.loads(new.inv("restore", "--from", "s3", "--latest", "--yes", "--json"))

    assert planned["backup_id"] == restored["source"] == taken["id"]
    assert restored["is_verified"]
    assert new.rows() == [CANARY]
    refused = new.inv("backup", exit_code=2)  # the new machine was not told to encrypt
    assert "a plain backup would follow an encrypted one" in refused
    new.environment["OPS_BACKUP_RECIPIENTS"] = str(identity.to_public())
    assert json.loads(new.inv("backup", "--json"))["encryption"] == "age"


def test_nothing_is_downloaded_before_the_plan_is_shown_and_answered_with_yes(s3_url: str, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", s3_url, COMPOSE_PROJECT_NAME="opstest-asked")
    host.add("one")
    taken = json.loads(host.inv("backup", "--json"))
    shutil.rmtree(host.folder / "backups")
    host.add("two")

    planned = json.loads(host.inv("restore", "--from", "s3", "--latest", "--dry-run", "--json"))
    refused = host.inv("restore", "--from", "s3", "--latest", exit_code=14)

    assert planned["backup_id"] == taken["id"]
    assert f"would give way to {taken['id']}, downloaded from" in refused
    assert "downloaded from s3 first" in refused
    assert [path for path in host.folder.glob("backups/**/*") if path.is_file()] == []
    assert host.rows() == ["one", "two"]
    host.inv("restore", "--from", "s3", "--latest", "--yes")
    assert host.rows() == ["one"]


def test_a_store_that_refuses_ends_a_backup_with_22_and_the_next_run_of_the_job_makes_up_for_it(
    s3_url: str, tmp_path: Path
) -> None:
    host = Host(tmp_path / "host", s3_url, COMPOSE_PROJECT_NAME="opstest-refused")
    host.add("one")

    with Proxy(s3_url, lambda method, _path, _before: "403" if method == "PUT" else "") as proxy:
        host.use(proxy.url)
        said = host.inv("backup", exit_code=22)
        assert "is good here and not off-site" in said
    host.use(s3_url)
    listed = json.loads(host.inv("backups", "--json"))
    assert [(one["good"], one["offsite"]) for one in listed] == [(True, [])]
    host.inv("scheduler", "--once", "offsite")

    assert json.loads(host.inv("backups", "--json"))[0]["offsite"] == ["s3"]


def test_a_copy_that_was_damaged_there_is_found_by_verify_and_made_good_by_the_job(s3_url: str, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", s3_url, COMPOSE_PROJECT_NAME="opstest-rotten")
    host.add("one")
    host.inv("backup")
    assert json.loads(host.inv("verify", "--from", "s3", "--json"))[0]["good"]
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    (key,) = (
        item["Key"]
        for item in client.list_objects_v2(Bucket="backups", Prefix="opstest-rotten/")["Contents"]
        if not item["Key"].endswith(".json")
    )
    content = client.get_object(Bucket="backups", Key=key)["Body"].read()
    client.put_object(Bucket="backups", Key=key, Body=content[:-1] + bytes([content[-1] ^ 1]))
    client.close()

    said = host.inv("verify", "--from", "s3", exit_code=32)

    assert "is not what was copied there" in said
    told = [one for one in host.journal() if one["kind"] == "verify"][-1]
    assert (told["state"], told["details"]["offsite"], len(told["details"]["bad"])) == ("finished", "s3", 1)
    assert json.loads(host.inv("backups", "--json"))[0]["offsite"] == []
    assert "there is no good backup" in host.inv("restore", "--from", "s3", "--latest", "--yes", exit_code=30)
    assert "--from" in host.inv("verify", "--from", "s3", "--drill", exit_code=2)
    host.inv("scheduler", "--once", "offsite")
    assert "whole" in host.inv("verify", "--from", "s3", "--all")
    assert json.loads(host.inv("backups", "--json"))[0]["offsite"] == ["s3"]


def test_a_key_that_is_gone_ends_with_2_and_nothing_of_the_data_is_anywhere(s3_url: str, tmp_path: Path) -> None:
    host = Host(
        tmp_path / "host", s3_url, COMPOSE_PROJECT_NAME="opstest-keyless", OPS_BACKUP_PASSPHRASE_FILE="gone/passphrase"
    )
    host.add(CANARY)

    assert "cannot be read" in host.inv("backup", exit_code=2)
    assert "cannot be read" in host.inv("backup", "--dry-run", exit_code=2)

    found = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert found == [host.database]
    assert not (host.folder / "backups").exists()
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    assert client.list_objects_v2(Bucket="backups", Prefix="opstest-keyless").get("KeyCount") == 0
    client.close()
