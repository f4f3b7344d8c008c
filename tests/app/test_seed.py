"""Is the demonstration pile the same wherever and however often it is made?"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from app.config import Settings
from app.database import Database
from app.models import Base, ReadingSession, Thread, User
from app.seed import main, seed


def rows(database: Database) -> dict[str, list[Any]]:
    """Everything there is."""
    with database.reading() as db:
        return {
            mapper.class_.__tablename__: [
                tuple(getattr(row, column.key) for column in mapper.columns)
                for row in db.scalars(select(mapper.class_).order_by(mapper.class_.id))
            ]
            for mapper in Base.registry.mappers
        }


def test_a_second_seed_adds_nothing(database: Database) -> None:
    with database.writing() as db:
        first = seed(db)
    before = rows(database)

    with database.writing() as db:
        second = seed(db)

    assert all(added > 0 for added in first.values())
    assert set(second.values()) == {0}
    assert rows(database) == before


def test_two_databases_get_the_same_rows_to_the_microsecond(
    database: Database, migrated_file: Any, tmp_path: Any
) -> None:
    import shutil

    shutil.copy(migrated_file, tmp_path / "other.db")
    other = Database(Settings(database_url=f"sqlite:///{tmp_path / 'other.db'}"))
    for each in (database, other):
        with each.writing() as db:
            seed(db, 2)

    assert rows(database) == rows(other)
    other.close()


def test_a_larger_scale_adds_what_is_missing_at_the_end_of_each_queue(database: Database) -> None:
    with database.writing() as db:
        seed(db, 1)
    with database.writing() as db:
        added = seed(db, 3)

        for user in db.scalars(select(User)):
            places = db.scalars(select(Thread.queue_position).where(Thread.user_id == user.id)).all()
            assert sorted(place or 0 for place in places) == list(range(1, 25))
    assert added["threads"] == 48
    assert added["users"] == added["tasks"] == 0


def test_what_was_there_stays_as_it_was(database: Database) -> None:
    with database.writing() as db:
        db.add(User(id=7, name="Ada"))
        db.flush()
        db.add(Thread(name="Ghost Ledger", user_id=7, queue_position=1, dice_value=20))

    with database.writing() as db:
        seed(db)

    with database.reading() as db:
        kept = db.scalars(select(Thread).where(Thread.user_id == 7, Thread.name == "Ghost Ledger")).one()
        assert (kept.dice_value, kept.queue_position, kept.last_rating) == (20, 1, None)
        assert (
            db.scalar(select(func.count()).select_from(ReadingSession).where(ReadingSession.thread_id == kept.id)) == 0
        )


def test_the_program_seeds_the_database_of_the_environment(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    assert main([]) == 0
    assert capsys.readouterr().out.startswith("seeded: users=3 threads=24 sessions=")
    assert main([]) == 0
    assert capsys.readouterr().out == "seeded: users=0 threads=0 sessions=0 events=0 tasks=0\n"


def test_the_program_says_in_one_line_that_there_are_no_tables(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)

    assert main([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("seed: the database refused: ")


@pytest.mark.parametrize("arguments", [["--scale", "0"], ["--scale", "x"], ["more"]])
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
