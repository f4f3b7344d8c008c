"""Does every revision go up, down and up again on both databases, with rows in the tables?"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import URL, create_engine, inspect, text

from ops.model.endpoint import PostgresEndpoint
from tests.app.conftest import ROOT, alembic_config, url_of
from tests.conftest import connect

GUIDE_COLUMNS = {
    "users": ["id", "name", "created_at", "updated_at"],
    "threads": [
        "id", "name", "publisher", "current_volume", "current_issue", "dice_value", "last_rating", "last_review_at",
        "created_at", "updated_at",
    ],
    "sessions": [
        "id", "thread_id", "started_at", "ended_at", "status", "dice_roll", "completed", "skipped", "read",
        "created_at", "updated_at",
    ],
    "events": ["id", "session_id", "event_type", "issue", "rating", "timestamp", "created_at", "updated_at"],
    "tasks": [
        "id", "task_id", "title", "description", "priority", "status", "dependencies", "assigned_agent", "worktree",
        "status_notes", "estimated_effort", "completed", "blocked_reason", "blocked_by", "last_heartbeat",
        "instructions", "created_at", "updated_at",
    ],
}  # fmt: skip
ROWS = [
    "INSERT INTO threads (id, name, publisher, current_issue, last_rating) VALUES (7, 'Saga', NULL, 3, 0)",
    "INSERT INTO threads (id, name, dice_value) VALUES (3, 'It''s 100% \\ \"quoted\"', 20)",
    """INSERT INTO sessions (id, thread_id, started_at, status, dice_roll, read)
       VALUES (1, 7, '2026-01-31 02:00:00.123456', 'read', 0, TRUE)""",
    """INSERT INTO events (id, session_id, event_type, issue, rating, timestamp)
       VALUES (1, 1, 'rate', 0, 0.5, '2026-01-31 02:00:00.123456')""",
    "INSERT INTO tasks (task_id, title, priority, status) VALUES ('T-1', 'draw', 'HIGH', 'pending')",
]
CONTENT = {
    "threads": "SELECT id, name, publisher, current_issue, dice_value, last_rating FROM threads ORDER BY id",
    "sessions": "SELECT id, thread_id, started_at, dice_roll, read FROM sessions",
    "events": "SELECT id, session_id, issue, rating, timestamp FROM events",
    "tasks": "SELECT task_id, title, completed FROM tasks",
}


def run(url: str, *statements: str) -> list[Any]:
    """Run statements as plain SQL (foreign keys on); gives the rows of the last one."""
    engine = create_engine(url)
    rows: list[Any] = []
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        for statement in statements:
            result = connection.execute(text(statement))
            rows = list(result) if result.returns_rows else []
    engine.dispose()
    return rows


def content(url: str) -> dict[str, list[Any]]:
    """What the guide's columns hold."""
    return {table: run(url, query) for table, query in CONTENT.items()}


def columns(url: str) -> dict[str, list[str]]:
    """All tables with their columns, in order."""
    engine = create_engine(url)
    seen = inspect(engine)
    found = {table: [column["name"] for column in seen.get_columns(table)] for table in seen.get_table_names()}
    engine.dispose()
    found.pop("alembic_version", None)
    return found


def test_the_first_revision_has_exactly_the_guides_columns(empty_url: str) -> None:
    command.upgrade(alembic_config(empty_url), "0001")

    assert columns(empty_url) == GUIDE_COLUMNS


@pytest.mark.postgres
def test_moments_are_kept_with_their_zone_in_postgresql(fresh_database: PostgresEndpoint) -> None:
    url = url_of(fresh_database)
    command.upgrade(alembic_config(url), "head")

    naive = run(
        url,
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'",
    )

    assert naive == []


def test_every_revision_goes_up_down_and_up_again_and_keeps_the_rows(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "0001")
    run(empty_url, *ROWS)
    before = content(empty_url)
    later = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()][:-1]

    for revision in reversed(later):
        command.upgrade(config, revision)
        assert content(empty_url) == before
        command.downgrade(config, "-1")
        assert content(empty_url) == before
        command.upgrade(config, revision)

    assert content(empty_url) == before
    command.downgrade(config, "0001")
    assert columns(empty_url) == GUIDE_COLUMNS
    assert content(empty_url) == before


def test_base_and_head_again_from_a_filled_database(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "0001")
    run(empty_url, *ROWS)
    command.upgrade(config, "head")

    command.downgrade(config, "base")
    assert columns(empty_url) == {}
    command.upgrade(config, "head")

    assert set(columns(empty_url)) == set(GUIDE_COLUMNS)


def test_the_models_and_the_head_do_not_differ(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "head")

    command.check(config)


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(alembic_config("sqlite://")).get_heads()) == 1


def test_threads_go_to_the_user_with_the_lowest_id_in_the_order_of_their_ids(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "0001")
    run(
        empty_url,
        *ROWS,
        "INSERT INTO users (id, name) VALUES (9, 'zoe')",
        "INSERT INTO users (id, name) VALUES (4, 'ada')",
    )

    command.upgrade(config, "0002")

    owned = run(empty_url, "SELECT id, user_id, queue_position, status FROM threads ORDER BY id")
    assert owned == [(3, 4, 1, "active"), (7, 4, 2, "active")]


def test_a_user_is_made_where_threads_have_nobody(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "0001")
    run(empty_url, *ROWS)

    command.upgrade(config, "0002")

    assert run(empty_url, "SELECT u.name FROM threads t JOIN users u ON u.id = t.user_id") == [("reader",), ("reader",)]


def test_no_user_is_made_where_there_are_no_threads(empty_url: str) -> None:
    command.upgrade(alembic_config(empty_url), "head")

    assert run(empty_url, "SELECT * FROM users") == []


def test_an_orphan_stops_the_revision_and_leaves_the_database_as_it_was(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "0001")
    run(empty_url, *ROWS, "UPDATE sessions SET thread_id = 999")
    before = content(empty_url)

    with pytest.raises(Exception, match=r"999|sessions rowid 1 -> threads"):
        command.upgrade(config, "0002")

    assert columns(empty_url) == GUIDE_COLUMNS
    assert content(empty_url) == before
    assert run(empty_url, "SELECT version_num FROM alembic_version") == [("0001",)]


def test_a_caller_may_check_foreign_keys_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    config = alembic_config(url)
    command.upgrade(config, "0001")
    run(url, *ROWS, "UPDATE sessions SET thread_id = 999")
    config.attributes["check_foreign_keys"] = False

    command.upgrade(config, "0002")

    assert run(url, "PRAGMA foreign_key_check") == [("sessions", 1, "threads", 0)]


def test_a_file_of_the_guides_time_with_its_own_unnamed_keys_gets_the_same_schema(tmp_path: Path) -> None:
    ours, theirs = (f"sqlite:///{tmp_path / name}" for name in ("ours.db", "theirs.db"))
    command.upgrade(alembic_config(ours), "0001")
    command.upgrade(alembic_config(theirs), "0001")
    run(
        theirs,
        "DROP TABLE events",
        "CREATE TABLE events (id INTEGER PRIMARY KEY, session_id INTEGER REFERENCES sessions (id), event_type TEXT, "
        "issue INTEGER, rating REAL, timestamp TIMESTAMP, created_at TIMESTAMP, updated_at TIMESTAMP)",
        "CREATE INDEX whatever ON events (issue)",
    )

    for url in (ours, theirs):
        command.upgrade(alembic_config(url), "head")
        command.check(alembic_config(url))

    schema = "SELECT sql FROM sqlite_master WHERE name IN ('events', 'ix_events_session_id') ORDER BY name"
    assert run(theirs, schema) == run(ours, schema)


def test_rows_that_refer_to_a_rebuilt_table_survive_though_foreign_keys_were_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    config = alembic_config(url)
    command.upgrade(config, "0001")
    run(url, *ROWS)
    command.upgrade(config, "head")
    engine = create_engine(url)

    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.commit()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        command.upgrade(config, "head")
        foreign_keys = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
    engine.dispose()

    assert foreign_keys == 1
    assert run(url, "SELECT count(*) FROM events") == [(1,)]


def test_the_callers_connection_is_used_and_left_open(empty_url: str) -> None:
    config = alembic_config("sqlite:////nonexistent/never.db")
    engine = create_engine(empty_url)

    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0002"
    engine.dispose()


@pytest.mark.postgres
def test_a_percent_sign_in_the_password_is_a_percent_sign(fresh_database: PostgresEndpoint, monkeypatch: Any) -> None:
    role, password = f"{fresh_database.database}_r", "50%off %(here)s @/:?#"
    with connect(fresh_database) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
        admin.execute(f"ALTER DATABASE {fresh_database.database} OWNER TO {role}")
    try:
        url = URL.create(
            "postgresql+psycopg", role, password, fresh_database.host, fresh_database.port, fresh_database.database
        ).render_as_string(hide_password=False)
        monkeypatch.setenv("DATABASE_URL", url)
        config = alembic_config(url)
        del config.attributes["url"]

        command.upgrade(config, "head")

        assert run(url, "SELECT version_num FROM alembic_version") == [("0002",)]
    finally:
        with connect(fresh_database) as admin:
            admin.execute(f"DROP OWNED BY {role} CASCADE")
            admin.execute(f"ALTER DATABASE {fresh_database.database} OWNER TO {fresh_database.user}")
            admin.execute(f"DROP ROLE {role}")


def test_driving_alembic_from_a_program_leaves_its_logging_alone(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    command.upgrade(alembic_config(f"sqlite:///{tmp_path / 'a.db'}"), "head")

    assert (root.level, list(root.handlers)) == before
    assert not logging.getLogger("alembic").disabled


def test_the_sql_of_all_revisions_can_be_written_without_a_database(capsys: Any) -> None:
    for url in ("sqlite:///nowhere.db", "postgresql+psycopg://nobody@nowhere/none"):
        command.upgrade(alembic_config(url), "head", sql=True)
        written = capsys.readouterr().out

        assert "CREATE TABLE users" in written
        assert "row_number() OVER (ORDER BY id)" in written
        assert written.count("BEGIN") == 2, "one transaction for each revision"


def test_the_alembic_folder_does_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_the_ini_file_holds_no_address() -> None:
    assert "sqlalchemy.url" not in (ROOT / "alembic.ini").read_text()
