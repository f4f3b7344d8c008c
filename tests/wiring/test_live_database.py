"""Is it known which backups are those of the live database, by the settings alone?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.adapters.archive_folder import ArchiveFolder
from ops.config import read_project, read_settings
from ops.errors import BackupTooOld, PruneRefused
from ops.model.backup_id import manifest_name
from ops.model.manifest import DatabaseIdentity, Drill, Manifest
from ops.model.manifest_json import to_json
from ops.wiring import backups, drills, service
from ops.wiring.jobs import jobs_of
from ops.wiring.live_database import live_database
from ops.wiring.toolbox import Toolbox
from tests.fakes.manifests import FACTS, manifest

NOW = datetime.now(UTC).replace(microsecond=0)
FILE = replace(FACTS, kind="sqlite", name="app.db")


def tools_of(
    folder: Path, url: str = "sqlite:///app.db", *, engine: str = "url", is_production: bool = False
) -> Toolbox:
    variables = {"OPS_ENGINE": engine, "DATABASE_URL": url, "COMPOSE_PROJECT_NAME": "opstest"}
    settings = read_settings(variables, root=folder, is_production=is_production)
    return Toolbox(read_project(folder), settings, folder / ".env", (), (), is_strict=False)


def keep(folder: Path, *manifests: Manifest) -> None:
    (folder / "backups/opstest").mkdir(parents=True, exist_ok=True)
    for one in manifests:
        (folder / "backups/opstest" / manifest_name(one.id)).write_text(to_json(one))
        (folder / "backups/opstest" / one.archive).write_bytes(b"\0" * one.size_bytes)


def backup_of(hours: float, **changes: object) -> Manifest:
    return manifest(NOW - timedelta(hours=hours), **{"stack": "opstest", "size_bytes": 1, **changes})


def file_of(hours: float, **changes: object) -> Manifest:
    return backup_of(hours, format="sqlite", database=FILE, **changes)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ("{POSTGRES_DB: books, POSTGRES_USER: me}", "books"),
        ("{POSTGRES_USER: me}", "me"),
        ("{PGPORT: '5433'}", "postgres"),
        ("{POSTGRES_DB_FILE: /run/secrets/name}", ""),
        ("{POSTGRES_USER_FILE: /run/secrets/user}", ""),
    ],
)
def test_a_service_of_the_stack_says_by_its_variables_which_database_it_is(
    tmp_path, monkeypatch, variables, name
) -> None:
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "opstest")
    (tmp_path / "docker-compose.yml").write_text(
        f"services:\n  db:\n    image: postgres:17\n    environment: {variables}\n"
    )

    assert live_database(tools_of(tmp_path, engine="embedded")) == DatabaseIdentity("development", "postgresql", name)


def test_a_url_says_it_for_a_server_and_for_a_file(tmp_path) -> None:
    assert live_database(tools_of(tmp_path)) == DatabaseIdentity("development", "sqlite", "app.db")
    assert live_database(
        tools_of(tmp_path, "postgresql://me:x@db.example:5432/books", is_production=True)
    ) == DatabaseIdentity("production", "postgresql", "books")


def test_a_backup_of_another_database_of_the_stack_is_no_run_of_a_job_and_makes_nothing_young(tmp_path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.ops.schedule]\nbackup = "daily 02:00"\ndrill = "weekly sunday 04:00"'
    )
    keep(tmp_path, file_of(40), backup_of(1, drill=Drill(NOW, 4.0, "17.11", "me")))
    tools = tools_of(tmp_path)

    jobs = jobs_of(tools, tools.again)

    assert jobs["backup"].succeeded_at() == NOW - timedelta(hours=40)
    assert jobs["drill"].succeeded_at() is None
    assert drills.plan(tools, "") == file_of(40)
    backups.check_age(tools, "41h")
    with pytest.raises(BackupTooOld, match=file_of(40).id):
        backups.check_age(tools, "39h")
    (found,) = [one for one in service.check(tools) if one.name == "backup"]
    assert (found.level, file_of(40).id in found.message) == ("warning", True)


def test_to_acknowledge_accepts_the_newest_backup_of_each_database_that_looks_wrong(tmp_path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ops.retention]\nkeep-last = 1\n")
    wrong = file_of(30, suspicious=("threads went from 5000 to 0 rows",))
    keep(tmp_path, file_of(40), wrong, backup_of(20), backup_of(10))
    tools = tools_of(tmp_path)
    with pytest.raises(PruneRefused, match="nothing was removed"):
        backups.prune(tools, is_acknowledged=False, is_dry=False, is_confirmed=True, lock_wait_s=0.0)

    done = backups.prune(tools, is_acknowledged=True, is_dry=False, is_confirmed=True, lock_wait_s=0.0)

    assert done.removed == (file_of(40).id, backup_of(20).id)
    left = {one.id: one.acknowledged for one in ArchiveFolder(tmp_path / "backups", "opstest").manifests()}
    assert left == {wrong.id: True, backup_of(10).id: False}
