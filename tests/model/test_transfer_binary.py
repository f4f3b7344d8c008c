"""Which tables go over as rows of binary COPY?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops.model.transfer.binary import affinity, takes_binary
from ops.model.transfer.schema import Column, Pair, SourceTable, Table

ID = Column("id", "int", "bigint", size_bytes=8, base_type="bigint")
TEXT = Column("name", "text", "text", base_type="text")


def pair(column=TEXT, declared="TEXT"):
    source = SourceTable("t", ("id", column.name), key="id", declared=("INTEGER", declared))
    return Pair(Table("public", "t", (ID, column), primary_key=("id",)), source, ("id", column.name))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("INTEGER", "integer"), ("unsigned big int", "integer"), ("CHARINT", "integer"), ("VARCHAR(255)", "text"),
        ("CLOB", "text"), ("TEXT COLLATE NOCASE", "text"), ("BLOB", "blob"), ("", "blob"), ("REAL", "real"),
        ("DOUBLE PRECISION", "real"), ("float", "real"), ("NUMERIC", "numeric"), ("DATETIME", "numeric"),
        ("BOOLEAN", "numeric"), ("JSON", "numeric"), ("FLOATING POINT", "integer"),
    ],
)  # fmt: skip
def test_the_affinity_is_what_sqlite_makes_of_the_declared_type(declared, expected):
    assert affinity(declared) == expected


@pytest.mark.parametrize(
    ("column", "declared", "expected"),
    [
        (TEXT, "TEXT", True),
        (TEXT, "", False),
        (replace(TEXT, type="character varying(3)", base_type="character varying(3)", length=3), "VARCHAR(3)", True),
        (replace(TEXT, type="citext", base_type="citext"), "TEXT", False),
        (Column("at", "timestamptz", "timestamp with time zone"), "DATETIME", True),
        (Column("at", "timestamptz", "timestamp(6) with time zone", precision=6), "DATETIME", True),
        (Column("at", "timestamptz", "timestamp(3) with time zone", precision=3), "DATETIME", False),
        (Column("on", "date", "date"), "DATE", True),
        (Column("at", "time", "time without time zone"), "TIME", False),
        (Column("x", "float8", "double precision"), "FLOAT", True),
        (Column("x", "float8", "double precision"), "NUMERIC", False),
        (Column("x", "float4", "real"), "REAL", False),
        (Column("x", "numeric", "numeric"), "NUMERIC", False),
        (Column("x", "bytes", "bytea"), "BLOB", True),
        (Column("x", "uuid", "uuid"), "CHAR(32)", False),
        (Column("x", "json", "json"), "JSON", False),
    ],
)
def test_a_column_goes_over_in_binary_where_no_value_can_be_stored_as_another(column, declared, expected):
    assert takes_binary(pair(column, declared)) is expected


def test_a_table_without_an_order_that_both_sides_keep_goes_as_lines():
    one = pair()

    assert not takes_binary(replace(one, source=replace(one.source, key="")))
    assert not takes_binary(replace(one, table=replace(one.table, primary_key=("name",))))
    assert not takes_binary(replace(one, source=replace(one.source, declared=())))
