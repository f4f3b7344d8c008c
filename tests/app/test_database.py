"""Do settings, moments and transactions mean the same on both databases?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from app.config import DEFAULT_DATABASE_URL, Settings, database_url
from app.database import Database, make_engine
from app.models import Base, Task, Thread, User


def test_a_moment_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
    with database.writing() as db:
        db.add(Task(task_id="T-1", title="t", last_heartbeat=moment))

    with database.reading() as db:
        kept = db.scalars(select(Task.last_heartbeat)).one()

    assert kept == moment
    assert kept is not None
    assert kept.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="needs a time zone"), database.writing() as db:
        db.add(Task(task_id="T-1", title="t", last_heartbeat=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point


def test_rows_made_by_hand_get_the_time_from_the_database_in_utc(database: Database) -> None:
    with database.writing() as db:
        db.execute(text("INSERT INTO users (name) VALUES ('by hand')"))

    with database.reading() as db:
        made = db.scalars(select(User.created_at)).one()

    assert abs(datetime.now(UTC) - made) < timedelta(minutes=5)


def test_a_use_case_that_fails_leaves_nothing(database: Database) -> None:
    def fail_half_way() -> None:
        with database.writing() as db:
            db.add(User(name="Ada"))
            db.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()

    with database.reading() as db:
        assert db.scalars(select(User)).all() == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO threads (name, user_id, queue_position) VALUES ('x', 99, 1)",
        "INSERT INTO threads (name, user_id, queue_position) VALUES ('x', 1, 1)",
        "INSERT INTO threads (name, user_id, queue_position) VALUES ('x', 1, 0)",
        "INSERT INTO threads (name, user_id, queue_position) VALUES ('x', 1, NULL)",
        "INSERT INTO threads (name, user_id, queue_position, status) VALUES ('x', 1, 2, 'completed')",
        "INSERT INTO threads (name, user_id, queue_position, status) VALUES ('x', 1, 2, 'paused')",
        "INSERT INTO threads (name, user_id, queue_position) VALUES ('x', NULL, 2)",
        "INSERT INTO sessions (thread_id, started_at, status) VALUES (99, CURRENT_TIMESTAMP, 'active')",
        "INSERT INTO events (session_id, event_type, timestamp) VALUES (99, 'roll', CURRENT_TIMESTAMP)",
        "INSERT INTO users (name) VALUES ('Ada')",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(database: Database, statement: str) -> None:
    with database.writing() as db:
        db.add(User(id=1, name="Ada"))
        db.flush()
        db.add(Thread(id=1, name="Saga", user_id=1, queue_position=1))

    with pytest.raises(IntegrityError), database.writing() as db:
        db.execute(text(statement))


def test_a_deleted_user_takes_everything_of_theirs_along(database: Database) -> None:
    with database.writing() as db:
        db.add(User(id=1, name="Ada"))
        db.flush()
        db.add(Thread(id=1, name="Saga", user_id=1, queue_position=1))
        db.flush()
        db.execute(
            text("INSERT INTO sessions (id, thread_id, started_at, status) VALUES (1, 1, CURRENT_TIMESTAMP, 'x')")
        )
        db.execute(text("INSERT INTO events (session_id, event_type, timestamp) VALUES (1, 'x', CURRENT_TIMESTAMP)"))

    with database.writing() as db:
        db.execute(text("DELETE FROM users"))

    with database.reading() as db:
        for table in ("threads", "sessions", "events"):
            assert db.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_every_constraint_and_index_has_the_name_that_the_models_give_it(database: Database) -> None:
    seen = inspect(database.engine)
    for name, table in Base.metadata.tables.items():
        expected = {str(constraint.name) for constraint in table.constraints} | {
            str(index.name) for index in table.indexes
        }
        found = {
            seen.get_pk_constraint(name)["name"],
            *(key["name"] for key in seen.get_foreign_keys(name)),
            *(unique["name"] for unique in seen.get_unique_constraints(name)),
            *(check["name"] for check in seen.get_check_constraints(name)),
            *(index["name"] for index in seen.get_indexes(name) if not index.get("duplicates_constraint")),
        }
        assert found == expected


def test_settings_come_from_the_environment_with_defaults_for_a_developer() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"DATABASE_URL": " ", "DB_POOL_SIZE": "", "LOG_LEVEL": ""}) == Settings()
    assert database_url({}) == DEFAULT_DATABASE_URL == "sqlite:///./comic_pile.db"
    assert Settings.from_environment(
        {
            "DATABASE_URL": "postgresql://x/y", "ENVIRONMENT": "production", "LOG_LEVEL": "WARNING",
            "CORS_ORIGINS": "https://a.example, https://b.example,", "DB_POOL_SIZE": "20", "DB_MAX_OVERFLOW": "0",
            "DB_POOL_PRE_PING": "no", "DB_POOL_RECYCLE_S": "-1",
        }
    ) == Settings(
        "postgresql://x/y", "production", "warning", ("https://a.example", "https://b.example"), 20, 0,
        pool_pre_ping=False, pool_recycle_s=-1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("DB_POOL_SIZE", "many"), ("DB_POOL_SIZE", "0"), ("DB_MAX_OVERFLOW", "-1"), ("DB_POOL_PRE_PING", "maybe")],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({name: value})


def test_the_pool_has_the_size_that_was_set(database_url: str) -> None:
    engine = make_engine(database_url, Settings(pool_size=3, max_overflow=1, pool_recycle_s=60))

    assert engine.pool.size() == 3  # type: ignore[attr-defined]
    assert engine.pool._max_overflow == 1  # type: ignore[attr-defined]
    assert engine.pool._recycle == 60
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_spelling_of_postgresql_means_psycopg(scheme: str) -> None:
    assert make_engine(f"{scheme}://somebody@nowhere/none").url.drivername == "postgresql+psycopg"


def test_sqlite_files_are_opened_with_wal_and_foreign_keys(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        return
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
