"""Does each job of the schedule come from the configuration, and does it fail when it should?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.config import read_project, read_settings
from ops.errors import ConfigurationError, CriticalCheckFailed, Degraded
from ops.wiring.jobs import jobs_of
from ops.wiring.toolbox import Toolbox
from tests.model.test_certificate import certificate

MakeTools = Callable[[str], Toolbox]


def make_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as session:
        session.execute("CREATE TABLE readers (id INTEGER PRIMARY KEY, name TEXT)")
        session.execute("INSERT INTO readers (name) VALUES ('a'), ('b')")
        session.commit()


@pytest.fixture
def project(tmp_path: Path) -> MakeTools:
    def make(tables: str) -> Toolbox:
        (tmp_path / "pyproject.toml").write_text(tables)
        settings = read_settings(
            {"OPS_ENGINE": "url", "DATABASE_URL": "sqlite:///app.db", "COMPOSE_PROJECT_NAME": "opstest"}, root=tmp_path
        )
        return Toolbox(read_project(tmp_path), settings, tmp_path / ".env", (), (), is_strict=False)

    return make


def test_every_job_of_the_schedule_takes_rule_zone_jitter_and_retries_from_the_configuration(project) -> None:
    names = ["backup", "prune", "verify", "drill", "offsite", "offsite-check", "certificate", "disk", "check"]
    lines = "\n".join(
        f'{name} = {{ rule = "daily 0{number}:30", zone = "Europe/Berlin", jitter = "{number}m", retries = {number} }}'
        for number, name in enumerate(names)
    )
    tools = project(f"[tool.ops.schedule]\n{lines}\n")

    jobs = jobs_of(tools, tools.again)

    assert list(jobs) == names
    for number, job in enumerate(jobs.values()):
        assert (job.rule.text, job.rule.zone) == (f"daily 0{number}:30", "Europe/Berlin")
        assert (job.jitter_s, job.retries) == (number * 60.0, number)


def test_prune_follows_a_backup_and_so_do_copies_where_there_is_somewhere_to_copy_to(project) -> None:
    tools = project('[tool.ops.schedule]\nbackup = "daily 02:00"\n[tool.ops.offsite.nas]\nkind="folder"\npath="nas"\n')

    jobs = jobs_of(tools, tools.again)

    assert {name: job.rule.text for name, job in jobs.items()} == {
        "backup": "daily 02:00", "prune": "after backup", "offsite": "after backup",
    }  # fmt: skip


def test_a_job_that_is_none_is_refused_by_name(project) -> None:
    tools = project('[tool.ops.schedule]\nbackups = "daily 02:00"\n')

    with pytest.raises(ConfigurationError, match=r"tool\.ops\.schedule\.backups is no job"):
        jobs_of(tools, tools.again)


def test_the_certificate_job_warns_and_then_fails_with_the_days_left(project, tmp_path) -> None:
    tools = project(
        '[tool.ops.schedule]\ncertificate = "daily 06:00"\n[tool.ops.certificates]\nfiles = ["tls/full*.pem"]\n'
    )
    run, now, folder = jobs_of(tools, tools.again)["certificate"].run, datetime.now(UTC), tmp_path / "tls"
    assert run() == {"warnings": 0}

    folder.mkdir()
    (folder / "fullchain.pem").write_bytes(certificate(now - timedelta(1), now + timedelta(days=12, hours=6)))
    assert run()["warned"].startswith("certificate: tls/fullchain.pem: 12 days left")

    (folder / "fullchain.pem").write_bytes(certificate(now - timedelta(1), now + timedelta(days=2, hours=6)))
    with pytest.raises(CriticalCheckFailed) as failed:
        run()
    assert "2 days left" in failed.value.shown_cause


def test_the_off_site_check_fails_while_a_target_is_not_in_step_and_copies_nothing(project, tmp_path) -> None:
    from ops.wiring.backups import backup
    from ops.wiring.offsite import sync

    make_database(tmp_path / "app.db")
    nas = tmp_path / "nas"
    tools = project(
        '[tool.ops.schedule]\n"offsite-check" = "daily 06:00"\n[tool.ops.offsite.nas]\nkind="folder"\npath="nas"\n'
    )
    run = jobs_of(tools, tools.again)["offsite-check"].run
    with pytest.raises(CriticalCheckFailed, match="off-site nas"):
        run()  # the folder is not mounted

    nas.mkdir()
    for _ in range(2):
        backup(tools.again(), note="", is_pinned=False, is_dry=False, lock_wait_s=0)
    with pytest.raises(CriticalCheckFailed):
        run()
    assert [path for path in nas.rglob("*") if path.is_file()] == []

    sync(tools.again())
    assert run() == {"warnings": 0}

    backup(tools.again(), note="", is_pinned=False, is_dry=False, lock_wait_s=0)
    with pytest.raises(Degraded):
        run()


def test_the_disk_job_asks_for_room_for_the_next_backup_and_for_a_restore(project, tmp_path) -> None:
    make_database(tmp_path / "app.db")
    tools = project('[tool.ops.schedule]\ndisk = "every 6 hours"\n')

    assert jobs_of(tools, tools.again)["disk"].run() == {"warnings": 0}
