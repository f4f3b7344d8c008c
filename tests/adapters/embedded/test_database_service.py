"""Is the embedded database the server that DESIGN.md promises, reachable by nobody else, and never opened up for?"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ops.actions.start import start
from ops.adapters.system_clock import SystemClock
from ops.errors import ConfigurationError, PortTaken, Refused, ServiceUnhealthy
from ops.model.compose.project import Mount, Stack, Volume
from ops.model.endpoint import PostgresEndpoint
from ops.model.stack_plan import Step
from tests.adapters.embedded.conftest import PASSWORD, Place
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres


def up(place: Place, stack: Stack | None = None, **changed: object) -> tuple[PostgresEndpoint, RecordingReporter]:
    engine, report = place.engine(**changed), RecordingReporter()
    stack = stack or place.stack()
    start(engine, stack, services=["db"], clock=SystemClock(), report=report, timeout_s=60)
    return engine.database_endpoint(stack, "db"), report


def with_command(place: Place, *command: str) -> Stack:
    stack = place.stack()
    return replace(stack, services={**stack.services, "db": replace(stack.services["db"], command=command)})


def test_the_server_is_what_the_design_says(bare_place):
    endpoint, _ = up(bare_place)

    with connect(endpoint) as session:
        database = session.execute(
            "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database WHERE datname = 'comic'"
        ).fetchone()
        settings = dict(session.execute("SELECT name, setting FROM pg_settings").fetchall())
        role = session.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        lines = session.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert database == ("UTF8", "b", "C.UTF-8")
    assert role == ("me", True)
    assert settings["data_checksums"] == "on"
    assert settings["TimeZone"] == "UTC"
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["unix_socket_directories"] == ""
    assert lines == [("scram-sha-256",)]


def test_settings_of_the_compose_file_hold_where_they_are_known_and_ours_to_give(place):
    endpoint, report = up(place)

    with connect(endpoint) as session:
        assert session.execute("SHOW work_mem").fetchone() == ("8MB",)
    assert any("no_such_setting, listen_addresses" in note for note in report.notes)


def test_a_wrong_password_is_refused(place):
    endpoint, _ = up(place)
    wrong = PostgresEndpoint(endpoint.host, endpoint.port, endpoint.user, type(endpoint.password)("no"), "comic")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(wrong)


def test_no_password_is_in_any_command_line_nor_in_the_servers_environment(place):
    up(place)

    record = place.process("db").running()
    assert record is not None
    shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not [line for line in shown if PASSWORD.encode() in line]
    assert PASSWORD.encode() not in Path(f"/proc/{record.process.pid}/environ").read_bytes()
    assert PASSWORD.encode() not in b"".join(
        path.read_bytes() for path in (place.state / "run").iterdir() if path.is_file()
    )


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_a_password_changed_later_is_told_at_once_and_not_waited_for(place):
    up(place)
    place.engine().apply(Step("stop", "db", "test"), place.stack(), RecordingReporter())
    stack = place.stack()
    changed = replace(
        stack.services["db"], environment={**stack.services["db"].environment, "POSTGRES_PASSWORD": "another"}
    )

    with pytest.raises(ServiceUnhealthy, match="db is unhealthy") as failure:
        up(place, replace(stack, services={**stack.services, "db": changed}))

    assert "password authentication failed" in (failure.value.cause or "")
    assert "another" not in (failure.value.cause or "")


def test_data_of_another_major_is_refused_with_what_to_do(bare_place):
    data = bare_place.state / "volumes" / "opstest_data" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(Refused, match="PostgreSQL 16") as failure:
        up(bare_place)

    assert "inv backup" in (failure.value.hint or "")
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_without_a_wish_the_port_is_the_next_free_one_and_is_kept(place):
    first, _ = up(place, database_port=None)
    place.engine(database_port=None).apply(Step("stop", "db", "test"), place.stack(), RecordingReporter())

    second, _ = up(place, database_port=None)

    assert first.port >= 5432
    assert second.port == first.port


def test_a_kept_port_that_somebody_took_meanwhile_is_given_up(place):
    first, _ = up(place, database_port=None)
    place.engine(database_port=None).apply(Step("stop", "db", "test"), place.stack(), RecordingReporter())

    with socket.create_server(("127.0.0.1", first.port)):
        second, _ = up(place, database_port=None)

    assert second.port != first.port


def test_a_wished_port_that_is_taken_is_refused_with_its_owner_and_nothing_is_made(bare_place):
    with socket.create_server(("127.0.0.1", bare_place.database_port)), pytest.raises(PortTaken) as failure:
        up(bare_place)

    assert f"pid {os.getpid()}" in failure.value.message
    assert not bare_place.state.exists()


def test_another_wished_port_restarts_the_server_there(place, make_place):
    up(place)
    other = make_place(place.folder.parent / "other").database_port

    endpoint, report = up(place, database_port=other)

    assert endpoint.port == other
    assert any(note.startswith("recreate db") for note in report.notes)


def test_changed_settings_recreate_the_server_and_keep_its_data(place):
    endpoint, _ = up(place)
    with connect(endpoint) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")

    endpoint, _ = up(place, with_command(place, "postgres", "-c", "work_mem=16MB"))

    with connect(endpoint) as session:
        assert session.execute("SHOW work_mem").fetchone() == ("16MB",)
        assert session.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_setting_with_an_impossible_value_fails_with_the_servers_own_words(place):
    with pytest.raises(ServiceUnhealthy, match="db ended with exit code 1") as failure:
        up(place, with_command(place, "postgres", "-c", "work_mem=lots"))

    assert 'invalid value for parameter "work_mem"' in (failure.value.cause or "")


def test_without_a_password_nothing_is_started(bare_place):
    stack = bare_place.stack()
    nameless = replace(stack.services["db"], environment={})

    with pytest.raises(ConfigurationError, match="POSTGRES_PASSWORD"):
        up(bare_place, replace(stack, services={"db": nameless}))

    assert not bare_place.state.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can close a folder to its own server")
@pytest.mark.parametrize("closed", ["the checkout", "above the checkout"])
def test_folders_that_are_closed_to_the_servers_user_stay_closed(make_place: Callable[[Path], Place], tmp_path, closed):
    above = tmp_path / "above"
    above.mkdir(mode=0o700)
    place = make_place(above / "project")
    place.folder.chmod(0o700 if closed == "the checkout" else 0o755)
    folders = [place.folder, above, tmp_path, Path("/root"), Path("/tmp")]
    before = [(folder.stat().st_mode, folder.stat().st_uid) for folder in folders]

    endpoint, _ = up(place)

    with connect(endpoint) as session:
        session.execute("CREATE TABLE t AS SELECT 1")
    record = place.process("db").running()
    assert record is not None
    assert Path(f"/proc/{record.process.pid}").stat().st_uid != 0
    assert [(folder.stat().st_mode, folder.stat().st_uid) for folder in folders] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_the_server_has_no_capability_where_it_needs_none(make_place: Callable[[Path], Place]):
    import tempfile

    with tempfile.TemporaryDirectory(prefix="opstest-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        place = make_place(Path(folder) / "project")

        up(place)

        record = place.process("db").running()
        assert record is not None
        status = Path(f"/proc/{record.process.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "CapPrm:\t0000000000000000" in status
        place.clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
@pytest.mark.parametrize(("uid", "expected"), [(1, 1), (54321, pwd.getpwnam("nobody").pw_uid)])
def test_the_server_runs_as_the_owner_of_the_project_where_that_is_a_user_and_not_root(
    make_place: Callable[[Path], Place], tmp_path, uid, expected
):
    place = make_place(tmp_path / "project")
    os.chown(place.folder, uid, uid)

    up(place)

    assert (place.state / "volumes/opstest_data/data").stat().st_uid == expected


def test_a_server_moves_to_the_volume_that_the_file_names_now_and_back_and_the_other_one_stays(place):
    def rows_on(volume: str) -> tuple[list[str], int]:
        stack = replace(place.stack(), volumes={"data": Volume("data", volume)})
        endpoint, report = up(place, stack)
        with connect(endpoint) as session:
            session.execute("CREATE TABLE IF NOT EXISTS pile AS SELECT 1 AS id")
            session.execute("INSERT INTO pile VALUES (2)")
            return report.warnings, session.execute("SELECT count(*) FROM pile").fetchone()[0]

    warned = [rows_on("opstest_data"), rows_on("opstest_data_18"), rows_on("opstest_data")]

    assert [rows for _, rows in warned] == [2, 2, 3]
    begins = "db begins with a new, empty volume opstest_data_18; opstest_data stays as it is, unused"
    assert [warnings for warnings, _ in warned] == [[], [begins], []]


def test_a_further_volume_of_the_database_service_is_no_reason_to_restart_it(place):
    stack = place.stack()
    db = stack.services["db"]
    further = replace(
        stack,
        services={**stack.services, "db": replace(db, mounts=(*db.mounts, Mount("volume", "/backups", "more")))},
        volumes={**stack.volumes, "more": Volume("more", "opstest_more")},
    )
    up(place, further)
    first = place.process("db").running()

    up(place, further)

    assert place.process("db").running() == first
