"""Strange but valid projects: histories and rows that somebody else might have, none of them the application's.

Each is one revision's body and the SQL that fills the SQLite file at it. `sa`, `op` and `is_pg` are there for the body.
"""

# ruff: noqa: E501 - tables read best with a line for each

from __future__ import annotations

import sqlite3
import textwrap
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.alembic_project import READS_ENVIRONMENT, AlembicProject

HEAD = "from sqlalchemy.dialects import postgresql as pg\nis_pg = op.get_context().dialect.name == 'postgresql'\n"


@dataclass(frozen=True, slots=True)
class Strange:
    """A schema and its rows."""

    up: str
    rows: Sequence[str] = ()
    env: str = READS_ENVIRONMENT

    def project(self, folder: Path) -> AlembicProject:
        """Its history of one revision, `one`."""
        made = AlembicProject(folder, env=self.env)
        made.revision("one", up=HEAD + textwrap.dedent(self.up))
        return made

    def fill(self, file: Path) -> None:
        """Its rows."""
        with closing(sqlite3.connect(file, isolation_level=None)) as session, session:
            session.execute("BEGIN")
            for statement in self.rows:
                session.execute(statement)
            session.execute("COMMIT")
        session.close()


_MANY = ", ".join(f"sa.Column('c{n}', [sa.Text, sa.Integer, sa.Float, sa.DateTime][{n} % 4])" for n in range(200))
_MANY_NAMES = ", ".join(f"c{n}" for n in range(200))
_MANY_VALUES = ", ".join(
    ("'te\tx' || hex(randomblob(4))", "17", "0.25", "'2024-01-02 03:04:05.000000'")[n % 4] for n in range(200)
)

STRANGE: dict[str, Strange] = {
    "composite keys, one half NULL": Strange(
        """
        op.create_table("area", sa.Column("land", sa.String(2)), sa.Column("number", sa.Integer), sa.PrimaryKeyConstraint("land", "number"))
        op.create_table("place", sa.Column("id", sa.Integer, primary_key=True), sa.Column("land", sa.String(2)), sa.Column("number", sa.Integer),
            sa.ForeignKeyConstraint(["land", "number"], ["area.land", "area.number"]))
        """,
        [
            "INSERT INTO area VALUES ('de', 1), ('de', 2), ('fr', 1)",
            "INSERT INTO place VALUES (1, 'de', 2), (2, 'xx', NULL), (3, NULL, NULL)",
        ],
    ),
    "self references and a cycle of three": Strange(
        """
        op.create_table("node", sa.Column("id", sa.Integer, primary_key=True), sa.Column("up", sa.Integer, sa.ForeignKey("node.id"), nullable=False))
        for name in "abc":
            op.create_table(f"c_{name}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("next", sa.Integer, nullable=False))
        if is_pg:
            for one, other in ("ab", "bc", "ca"):
                op.create_foreign_key(f"fk_{one}", f"c_{one}", f"c_{other}", ["next"], ["id"])
        """,
        [
            "INSERT INTO node VALUES (1, 1), (2, 3), (3, 2)",
            *(f"INSERT INTO c_{one} VALUES (1, 2), (2, 1)" for one in "abc"),
        ],
    ),
    "text and uuid primary keys": Strange(
        """
        op.create_table("word", sa.Column("word", sa.Text, primary_key=True))
        op.create_table("thing", sa.Column("key", sa.Uuid, primary_key=True), sa.Column("word", sa.Text, sa.ForeignKey("word.word")),
            sa.Column("other", sa.Uuid, sa.ForeignKey("thing.key")))
        """,
        [
            "INSERT INTO word VALUES (''), (' '), ('A'), ('a'), ('ä'), ('%s')",
            "INSERT INTO thing VALUES ('0123456789abcdef0123456789abcdef', 'ä', NULL), ('ffffffffffffffffffffffffffffffff', '', '0123456789abcdef0123456789abcdef')",
        ],
    ),
    "tables without row ids": Strange(
        """
        op.create_table("bare", sa.Column("b", sa.Text), sa.Column("a", sa.Integer), sa.Column("v", sa.Float), sa.PrimaryKeyConstraint("b", "a"), sqlite_with_rowid=False)
        op.create_table("child", sa.Column("id", sa.Text, primary_key=True), sa.Column("b", sa.Text), sa.Column("a", sa.Integer),
            sa.ForeignKeyConstraint(["b", "a"], ["bare.b", "bare.a"]), sqlite_with_rowid=False)
        op.create_table("counted", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text), sqlite_with_rowid=False)
        """,
        [
            "INSERT INTO bare VALUES ('x', 1, 0.5), ('x', 2, NULL), ('y', 1, 1e300)",
            "INSERT INTO child VALUES ('1', 'x', 2), ('2', NULL, NULL)",
            "INSERT INTO counted VALUES (7, 'x'), (2, NULL)",
        ],
    ),
    "columns called _rowid_, rowid, oid and ops_id": Strange(
        """
        op.create_table("one", sa.Column("_rowid_", sa.Text), sa.Column("ops_id", sa.Integer))
        op.create_table("two", sa.Column("rowid", sa.Text, primary_key=True), sa.Column("oid", sa.Integer))
        op.create_table("three", sa.Column("_rowid_", sa.Text), sa.Column("rowid", sa.Text), sa.Column("oid", sa.Text), sa.Column("id", sa.Integer, primary_key=True))
        op.create_table("four", sa.Column("_rowid_", sa.Text), sa.Column("rowid", sa.Integer), sa.Column("oid", sa.Text), sa.Column("why", sa.Text), sa.Column("times", sa.Integer))
        """,
        [
            "INSERT INTO one VALUES ('same', 1), ('same', 1), ('same', 7), (NULL, NULL)",
            "INSERT INTO two VALUES ('b', 1), ('a', 1)",
            "INSERT INTO three VALUES ('s', 's', 's', 4), ('s', 's', 's', 2)",
            "INSERT INTO four VALUES ('s', 2, 's', 'w', 3), ('s', 1, 's', 'w', 3), (NULL, NULL, NULL, NULL, NULL)",
        ],
    ),
    "names of every kind": Strange(
        """
        op.create_table("Select", sa.Column("Order", sa.Integer, primary_key=True), sa.Column("from", sa.Text), sa.Column("MixedCase", sa.Text))
        op.create_table("with space", sa.Column("per%cent", sa.Text), sa.Column('quo"te', sa.Text), sa.Column("apo'strophe", sa.Text), sa.Column("semi;colon", sa.Text),
            sa.Column("Ünïcödé", sa.Text), sa.Column("a.b", sa.Integer), sa.Column("back\\\\slash", sa.Text), sa.Column("{}", sa.Text), sa.Column("%s", sa.Text))
        op.create_table("dotted.table", sa.Column("id", sa.Integer, primary_key=True), sa.Column("up", sa.Integer, sa.ForeignKey("Select.Order")))
        op.create_table("日本語", sa.Column("値", sa.Text, unique=True), sa.Column("group", sa.Integer))
        op.create_index("ix odd %", "with space", ["a.b"])
        """,
        [
            "INSERT INTO \"Select\" VALUES (3, 'x', 'y')",
            "INSERT INTO \"with space\" VALUES ('1', '2', '3', '4', '5', 6, '7', '8', '9'), (NULL, '', '%', ';', 'ü', NULL, '\\', '{', '%s')",
            'INSERT INTO "dotted.table" VALUES (5, 3)',
            "INSERT INTO \"日本語\" VALUES ('値', 1)",
        ],
    ),
    "tables in another schema": Strange(
        """
        schema = "crm" if is_pg else None
        if is_pg:
            op.execute("CREATE SCHEMA crm")
        op.create_table("client", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text), schema=schema)
        op.create_table("order_line", sa.Column("id", sa.Integer, primary_key=True), sa.Column("client_id", sa.Integer, sa.ForeignKey("crm.client.id" if is_pg else "client.id")))
        """,
        ["INSERT INTO client VALUES (4, 'Łódź')", "INSERT INTO order_line VALUES (9, 4)"],
    ),
    "types that SQLite does not have": Strange(
        """
        op.create_table("kinds", sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("native", sa.Enum("a b", "c'd", "", name="native kind")), sa.Column("checked", sa.Enum("x", "y", native_enum=False, create_constraint=True, name="checked")),
            sa.Column("key", sa.Uuid), sa.Column("span", sa.Interval), sa.Column("words", pg.ARRAY(sa.Text).with_variant(sa.JSON, "sqlite")),
            sa.Column("numbers", pg.ARRAY(sa.Integer).with_variant(sa.JSON, "sqlite")), sa.Column("floats", pg.ARRAY(sa.Float).with_variant(sa.JSON, "sqlite")),
            sa.Column("doc", sa.JSON), sa.Column("data", sa.LargeBinary),
            sa.Column("price", sa.Numeric(12, 4)), sa.Column("any", sa.Numeric), sa.Column("clock", sa.Time), sa.Column("fixed", sa.CHAR(5)), sa.Column("letter", sa.CHAR))
        """,
        [
            """INSERT INTO kinds VALUES (1, 'a b', 'x', '0123456789abcdef0123456789abcdef', '1970-01-03 04:05:06.000007', '["a", "b\\"c", null, "d\\\\e", "{,}", "", "NULL", " \\u00fc\\u001f"]',
         '[1, -2, null]', '[0.1, 1e+300, 3.0]', '{"a": [1, null]}', x'00ff', 12.5, 0.1, '23:59:59.999999', 'ab', 'z')""",
            "INSERT INTO kinds VALUES (2, '', 'y', NULL, '1969-12-31 00:00:00.000000', '[]', '[]', '[]', 'null', x'', -0.0001, 1e20, '00:00:00.000000', '', '')",
            "INSERT INTO kinds (id) VALUES (3)",
        ],
    ),
    "generated columns, defaults and checks": Strange(
        """
        op.create_table("made", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer, nullable=False, server_default="7"),
            sa.Column("double", sa.Integer, sa.Computed("a * 2", persisted=True)), sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
            sa.Column("word", sa.Text, server_default=sa.text("'it''s %'")), sa.CheckConstraint("a > 0", name="positive"), sa.CheckConstraint("word <> ''", name="said"))
        """,
        [
            "INSERT INTO made (id, a, at) VALUES (1, 5, NULL), (2, 6, '2024-01-01 00:00:00.000000')",
            "INSERT INTO made (id, at) VALUES (3, '2024-01-01 00:00:00.000000')",
        ],
    ),
    "partial, expression and unique indexes": Strange(
        """
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text), sa.Column("b", sa.Integer), sa.Column("gone", sa.Boolean, server_default=sa.false(), nullable=False))
        op.create_index("ix_partial", "t", ["a"], unique=True, postgresql_where=sa.text("NOT gone"), sqlite_where=sa.text("NOT gone"))
        op.create_index("ix_lower", "t", [sa.text("lower(a)"), sa.text("b DESC")])
        op.create_index("ix_unique", "t", ["b", "a"], unique=True)
        if is_pg:
            op.create_index("ix_gin", "t", [sa.text("to_tsvector('simple', a)")], postgresql_using="gin")
            op.create_index("ix_include", "t", ["b"], postgresql_include=["a"])
            op.create_unique_constraint("uq_nulls", "t", ["b", "id"], postgresql_nulls_not_distinct=True)
        """,
        ["INSERT INTO t VALUES (1, 'x', 1, 0), (2, 'x', 2, 1), (3, 'x', 3, 1), (4, NULL, NULL, 0), (5, NULL, NULL, 0)"],
    ),
    "identities and sequences of one's own": Strange(
        """
        op.create_table("always", sa.Column("id", sa.Integer, sa.Identity(always=True, start=5, increment=5), primary_key=True), sa.Column("a", sa.Text))
        op.create_table("auto", sa.Column("id", sa.Integer, primary_key=True, autoincrement=True), sa.Column("a", sa.Text), sqlite_autoincrement=True)
        if is_pg:
            op.execute("CREATE SEQUENCE shared_seq")
            op.execute("CREATE SEQUENCE loose START 3")
        default = sa.text("nextval('shared_seq')") if is_pg else None
        for name in ("left", "right"):
            op.create_table(name, sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, server_default=default, autoincrement=False), sa.Column("a", sa.Text))
        """,
        [
            "INSERT INTO always VALUES (5, 'a'), (10, 'b'), (11, 'c')",
            "INSERT INTO auto (a) VALUES ('1'), ('2'), ('3')",
            "DELETE FROM auto WHERE id > 1",
            "INSERT INTO \"left\" VALUES (4, 'l')",
            "INSERT INTO \"right\" VALUES (40, 'r')",
        ],
    ),
    "empty tables and no tables but one": Strange(
        """
        op.create_table("empty", sa.Column("id", sa.Integer, primary_key=True), sa.Column("at", sa.DateTime))
        """,
    ),
    "two hundred columns": Strange(
        f"""
        op.create_table("wide", {_MANY})
        """,
        [f"INSERT INTO wide ({_MANY_NAMES}) VALUES ({_MANY_VALUES})"] * 3 + ["INSERT INTO wide (c1) VALUES (NULL)"],
    ),
    "only the version table": Strange("pass"),
}
