"""Do our texts of values agree with what PostgreSQL itself prints?"""

from __future__ import annotations

import json
import math
import random
import struct

import pytest

from ops.model.transfer import floats, texts
from ops.model.transfer.columns import RAW, fields
from ops.model.transfer.moments import are_moments
from ops.model.transfer.schema import Column
from tests.conftest import connect

EDGES = (0.0, -0.0, 0.1, 1e15, 1e14, 123456789012345.6, 999999999999999.9, 1e16, 1e-4, 1e-5, 5e-324, 1e22, 123456.0,
         1.7976931348623157e308, float("inf"), float("-inf"), -1.5e-7, 2.0**53, 3.0925352787701443e18)  # fmt: skip


@pytest.mark.postgres
def test_floats_are_written_as_postgresql_writes_them(postgres_server):
    draw = random.Random(1)
    numbers = [*EDGES, *(struct.unpack("<d", draw.randbytes(8))[0] for _ in range(3000))]
    numbers += [draw.random() * 10 ** draw.randrange(-8, 20) for _ in range(3000)]
    numbers = [number for number in numbers if not math.isnan(number)]

    with connect(postgres_server) as session:
        printed = session.execute(
            "SELECT array_agg(x::text ORDER BY n) FROM unnest(%s::float8[]) WITH ORDINALITY u(x, n)", [numbers]
        ).fetchone()[0]

    assert [floats.float8_text(number) for number in numbers] == printed


@pytest.mark.postgres
@pytest.mark.parametrize(
    "document",
    ['{"b": 1.50, "a": [1e3, -0.0, 1E-3], "aa": {"z": null, "y": true}}', '"\\u00e9\\ud83d\\ude00 \\"\\\\/\\b\\u0001"',
     "[]", "{}", "  12.0 ", '{"é": 1, "zz": 2, "a": 3}', "[1e400, 12345678901234567890.123]"],
)  # fmt: skip
def test_jsonb_is_written_as_postgresql_writes_it(postgres_server, document):
    with connect(postgres_server) as session:
        (printed,) = session.execute("SELECT %s::jsonb::text", [document]).fetchone()

    assert texts.jsonb_text(document) == printed


def test_a_refused_json_is_refused_with_its_reason():
    assert texts.json_problem('{"a": NaN}', is_binary=False) == "holds NaN, which is not JSON"
    assert texts.json_problem('"\\u0000"', is_binary=False) is None
    assert texts.json_problem('"\\u0000"', is_binary=True) == "holds \\u0000, which jsonb cannot keep"
    assert texts.json_problem(json.dumps({"a": [1, None]}), is_binary=True) is None


@pytest.mark.parametrize(
    ("values", "is_sound"),
    [
        (["2024-02-29 23:59:59.999999", "2023-12-31 00:00:00.000000"], True),
        (["2023-02-29 23:59:59.999999"], False),
        (["1900-02-29 00:00:00.000000"], False),
        (["2024-04-31 00:00:00.000000"], False),
        (["2024-01-01 24:00:00.000000"], False),
        (["2024-01-01 10:60:00.000000"], False),
        (["2024-01-01 10:00:60.000000"], False),
        (["0000-01-01 10:00:00.000000"], False),
        (["2024-01-01 10:00:00"], False),
        (["2024-01-01 10:00:00.000000\x1f2024-01-01 10:00:00.000000"], False),
        (["2024-01-01 10:00:00.000000 "], False),
        (["2024-00-01 10:00:00.000000"], False),
    ],
)
def test_a_block_of_moments_is_sound_only_if_every_one_is(values, is_sound):
    assert are_moments("\x1f".join(values).encode(), len(values), "timestamptz", b"\x1f") is is_sound


def test_a_block_of_texts_is_escaped_as_copy_reads_it():
    block = b"a\tb\\N\x1fc\n\r\x08\x0b\x0c\x1f\x1d"

    assert fields(Column("note", "text", "text"), block, RAW) == [b"a\\tb\\\\N", b"c\\n\\r\\b\\v\\f", b"\\N"]
