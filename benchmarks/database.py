"""What is in the database that backups are measured on?

What it holds decides how well it compresses, and so a dump's size and much of its time. Three kinds:

- `app`: the application's own tables with years of use in them (`application`);
- `prose`: threads, and two large tables of events and reviews, each with a note, a status, a rating, two timestamps, a
  foreign key and two indexes. Notes are cut from 64 MB of text at random places, so that none comes twice within the
  reach of a compressor's window: independent words by frequency, about as hard to compress as an encyclopaedia (zstd's
  first level: to 40 %);
- `phrases`: the same of 4,000 phrases of three to eight such words by frequency, as in what a program writes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice

import psycopg

from benchmarks import application

KINDS = ("app", "phrases", "prose")
THREADS = 20_000
EVENTS_PER_GB = 2_700_000
_WORDS = 8_000
_TEXT_BYTES = 64_000_000
_BLOCK_ROWS = 5_000
_PHRASES = 4_000
_SYLLABLES = (
    "an", "er", "in", "on", "at", "en", "or", "is", "it", "al", "ar", "ed", "es", "ing", "ly", "th", "st", "re", "de",
    "con", "pro", "com", "un", "ra", "lo", "mi", "ta", "ne", "so", "ve",
)  # fmt: skip
_START = datetime(2024, 1, 1, tzinfo=UTC)
_KINDS = ("roll", "read", "rate", "skip", "review")
_BIG = ("bench_events", "bench_reviews")
_THREADS_TABLE = (
    "CREATE TABLE bench_threads (id integer PRIMARY KEY, name text NOT NULL, created_at timestamptz NOT NULL)"
)
_BIG_TABLE = """
CREATE TABLE {0} (
    id bigint PRIMARY KEY, thread_id integer NOT NULL REFERENCES bench_threads, kind text NOT NULL,
    rating numeric(3, 1), note text NOT NULL, at timestamptz NOT NULL, created_at timestamptz NOT NULL
)
"""
_BIG_INDEXES = "CREATE INDEX {0}_thread ON {0} (thread_id, at); CREATE INDEX {0}_at ON {0} (at)"


def fill(session: psycopg.Connection, scale: float, kind: str) -> int:
    """Fill the database; returns its size in bytes. `scale` 1 is about 1 GB; for `app` its tables are there, empty."""
    if kind == "app":
        words = text(random.Random(4), 20_000, "prose").split()
        for table, columns in application.COLUMNS.items():
            _copy(session, f"{table} ({columns})", application.lines(table, scale, words))
    else:
        _fill_notes(session, scale, kind)
    session.execute("ANALYZE")
    session.execute("CHECKPOINT")
    row = session.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def _fill_notes(session: psycopg.Connection, scale: float, kind: str) -> None:
    draw = random.Random(4)
    session.execute(_THREADS_TABLE)
    _copy(session, "bench_threads", _threads(draw))
    for table in _BIG:
        session.execute(_BIG_TABLE.format(table))  # type: ignore[arg-type]
        _copy(session, table, _events(draw, int(EVENTS_PER_GB * scale) // len(_BIG), kind))
        session.execute(_BIG_INDEXES.format(table))  # type: ignore[arg-type]


def _copy(session: psycopg.Connection, table: str, lines: Iterator[str]) -> None:
    with session.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:  # type: ignore[arg-type]
        for block in _blocks(lines):
            copy.write(block)


def _blocks(lines: Iterator[str]) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == _BLOCK_ROWS:
            yield "".join(block)
            block.clear()
    yield "".join(block)


def text(draw: random.Random, size: int, kind: str) -> str:
    """So many characters of made-up words; the n-th word comes as often as 1/n, as in any language."""
    words = {"".join(draw.choices(_SYLLABLES, k=1 + min(3, number // 60))) for number in range(_WORDS)}
    known = sorted(words, key=lambda word: (len(word), word))
    weights = list(accumulate(1 / (number + 2) for number in range(len(known))))
    prose = " ".join(draw.choices(known, cum_weights=weights, k=size // 5))[:size]
    if kind == "prose":
        return prose
    words_of = iter(prose.split())
    phrases = [" ".join(islice(words_of, 3 + number % 6)) for number in range(_PHRASES)]
    weights = list(accumulate(1 / (number + 10) for number in range(_PHRASES)))
    return ". ".join(draw.choices(phrases, cum_weights=weights, k=size // 20))[:size]


def _threads(draw: random.Random) -> Iterator[str]:
    names = text(draw, 400_000, "prose")
    for number in range(1, THREADS + 1):
        at = draw.randrange(len(names) - 40)
        yield f"{number}\t{names[at : at + 20 + number % 20].strip()}\t{_START + timedelta(seconds=number)}\n"


def _events(draw: random.Random, count: int, kind: str) -> Iterator[str]:
    notes = text(draw, _TEXT_BYTES, kind)
    last, uniform = len(notes) - 400, draw.random
    moment = _START.timestamp()
    for number in range(1, count + 1):
        moment += uniform() * 40
        at = datetime.fromtimestamp(moment, UTC)
        begin = int(uniform() * last)
        note = notes[begin : begin + 60 + int(uniform() * 280)].strip()
        rating = rf"{1 + int(uniform() * 90) / 10:.1f}" if number % 3 == 0 else r"\N"
        thread = 1 + int(uniform() * THREADS)
        later = datetime.fromtimestamp(moment + uniform() * 5, UTC)
        yield f"{number}\t{thread}\t{_KINDS[number % 5]}\t{rating}\t{note}\t{at}\t{later}\n"
