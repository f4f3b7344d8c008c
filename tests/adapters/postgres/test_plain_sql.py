"""Is text told from commands in an SQL dump, wherever its blocks are cut?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.adapters.postgres.foreign import inspect_plain, leaves_out
from ops.adapters.postgres.plain_sql import Command, CopyData, CutShort, PlainSqlReader, Statement
from ops.errors import ArchiveCorrupt
from ops.ports import LoadSource
from tests.fakes.reporter import RecordingReporter

DUMP = rb"""--
-- PostgreSQL; database dump \! no
SET a = 'x;y'; /* c /* ; \! */ */
\restrict abc
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END;
CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE FUNCTION g() RETURNS int AS $x$ begin copy a to program ';'; $y$ \! $ end $x$ LANGUAGE plpgsql;
SELECT $$;\!$$, a$b$c, $1, "id;\!""x", U&"\0061;", E'it\'s; \\', 'it''s; \', U&'\0061;', B'1', 1e-3 / 2;
COPY public.users (id, "na;me") FROM stdin;
1	\.x
2	\! rm
\\.
\.

INSERT INTO a.b (c, d) VALUES (1, 'x''y;', NULL, -2.5, true);
INSERT INTO a VALUES (1, E'\');', (SELECT 2));
COPY "t" FROM stdin WITH (FORMAT csv);
\.
SELECT 1 \gexec
select 1
"""
TEXTS = [
    b"SET a = 'x;y';",
    "\\restrict abc",
    b"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END;",
    b"CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;",
    b"CREATE FUNCTION g() RETURNS int AS $x$ begin copy a to program ';'; $y$ \\! $ end $x$ LANGUAGE plpgsql;",
    rb"""SELECT $$;\!$$, a$b$c, $1, "id;\!""x", U&"\0061;", E'it\'s; \\', 'it''s; \', U&'\0061;', B'1', 1e-3 / 2;""",
    b'COPY public.users (id, "na;me") FROM stdin;',
    b"1\t\\.x\n2\t\\! rm\n\\\\.\n",
    b"INSERT INTO a.b (c, d) VALUES (1, 'x''y;', NULL, -2.5, true);",
    b"INSERT INTO a VALUES (1, E'\\');', (SELECT 2));",
    b'COPY "t" FROM stdin WITH (FORMAT csv);',
    b"",
    "\\gexec",
    b"select 1\n",
]


def pieces(text: bytes, cuts: list[int]) -> list[bytes | str]:
    """The pieces' texts, with the blocks of one COPY put together."""
    reader = PlainSqlReader()
    found = []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        found += list(reader.feed(text[begin:end]))
    found += list(reader.close())
    texts: list[bytes | str] = []
    data = b""
    for piece in found:
        if isinstance(piece, CopyData):
            data += piece.block
            if piece.is_last:
                texts.append(data)
                data = b""
        else:
            assert not isinstance(piece, CutShort)
            texts.append(piece.text)
    return texts


@given(st.lists(st.integers(0, len(DUMP)), max_size=12).map(sorted))
def test_the_pieces_do_not_depend_on_where_the_blocks_are_cut(cuts: list[int]) -> None:
    assert pieces(DUMP, cuts) == TEXTS


def test_every_byte_may_come_alone() -> None:
    assert pieces(DUMP, list(range(1, len(DUMP)))) == TEXTS


def test_a_byte_order_mark_is_no_part_of_the_first_statement() -> None:
    assert pieces(b"\xef\xbb\xbfSELECT 1;", []) == [b"SELECT 1;"]


def test_lines_are_those_of_the_file() -> None:
    reader = PlainSqlReader()
    found = [piece for piece in (*reader.feed(DUMP), *reader.close()) if isinstance(piece, Statement | Command)]

    assert [piece.line for piece in found] == [3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 19, 20]


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("SELECT 'open", "a string"),
        ("SELECT E'open\\'", "a string"),
        ('SELECT "open', "a quoted name"),
        ("SELECT $a$ open $b$", "a dollar-quoted text"),
        ("/* open /* */", "a comment"),
        ("COPY a FROM stdin;\n1\n2\n", "COPY data"),
        ("COPY a FROM stdin;", "COPY data"),
    ],
)
def test_a_text_that_ends_inside_something_says_inside_what(text: str, inside: str) -> None:
    reader = PlainSqlReader()
    found = [*reader.feed(b"\n" + text.encode()), *reader.close()]

    assert isinstance(found[-1], CutShort)
    assert found[-1].inside == inside


REFUSED = {
    r"\! touch x": r"line 2: the psql command \!",
    r"SELECT 1 \! touch x": r"line 2: the psql command \!",
    r"SELECT 'a'\! touch x": r"line 2: the psql command \!",
    r"\copy notes from program 'touch x'": r"line 2: the psql command \copy",
    r"\o |touch x": r"line 2: the psql command \o",
    r"\i /etc/passwd": r"line 2: the psql command \i",
    r"\set x `touch x`": r"line 2: the psql command \set",
    r"\connect postgres": r"line 2: the psql command \connect",
    "COPY (SELECT 1) TO PROGRAM 'touch x';": "line 2: COPY runs a program",
    "copy notes -- a comment\n from /* and another */ program 'touch x';": "line 2: COPY runs a program",
    "COPY notes FROM '/etc/passwd';": "line 2: COPY reads or writes a file of the server",
    "CREATE ROLE other SUPERUSER;": "line 2: CREATE ROLE reaches beyond one database",
    "DROP DATABASE postgres;": "line 2: DROP DATABASE reaches beyond one database",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p;": "line 2: CREATE SUBSCRIPTION reaches beyond one database",
}


def look(tmp_path: Path, text: str):
    path = tmp_path / "dump.sql"
    path.write_text(text)
    return inspect_plain(LoadSource(path, "plain", is_foreign=True), RecordingReporter())


CREATED = (
    'SET a = 1;\nDROP DATABASE IF EXISTS "x";\nCREATE DATABASE "x";\nALTER DATABASE "x" OWNER TO joe;\n'
    "\\encoding UTF8\n"
)


def test_the_database_that_a_dump_makes_and_enters_is_passed_over(tmp_path: Path) -> None:
    entered = CREATED + '\\connect "x"\nALTER DATABASE "x" SET a = 1;\nCREATE TABLE a ();\n'

    assert look(tmp_path, entered).refusals == ()


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (CREATED + "\\c x\n\\c y\n", "line 7: the psql command \\c"),
        (CREATED + "\\c x\nCREATE DATABASE y;\n", "line 7: CREATE DATABASE reaches beyond one database"),
        (CREATED + "CREATE TABLE a ();\n", "line 2: DROP DATABASE reaches beyond one database"),
        (CREATED + "CREATE TABLE a ();\n\\c x\n", "line 7: the psql command \\c"),
        ("\\c x\nSELECT 1;\n", "line 1: the psql command \\c"),
        (CREATED + "\\c x\nCREATE TABLE a ();\n\\encoding LATIN1\n", "line 8: the psql command \\encoding"),
        ("CREATE TABLE a ();\nDROP DATABASE x;\n", "line 2: DROP DATABASE reaches beyond one database"),
    ],
)
def test_a_second_database_is_refused(tmp_path: Path, text: str, refused: str) -> None:
    assert look(tmp_path, text).refusals[:1] == (refused,)


@pytest.mark.parametrize("line", REFUSED)
def test_what_a_dump_must_not_do_is_refused_by_name_and_line(tmp_path: Path, line: str) -> None:
    assert look(tmp_path, f"SELECT 1;\n{line}\nSELECT 2;\n").refusals == (REFUSED[line],)


@pytest.mark.parametrize(
    "line",
    [
        r"COPY a FROM stdin;" + "\n" + r"\\! touch x" + "\n" + r"copy b to program 'x';" + "\n" + r"\.",
        r"SELECT '\! x', $$ \copy $$, 'COPY a TO PROGRAM';",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT 'COPY a TO PROGRAM x'; END;",
        "COMMENT ON TABLE a IS E'\\\\! and \\' DROP DATABASE x;';",
        "-- \\! in a comment",
        'CREATE TABLE program (role text, "\\!" int);',
        "COPY program (role) TO STDOUT;",
    ],
)
def test_what_only_looks_like_a_command_is_not_refused(tmp_path: Path, line: str) -> None:
    assert look(tmp_path, f"SELECT 1;\n{line}\nSELECT 2;\n").refusals == ()


def test_what_a_dump_says_of_itself_is_found(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 17.4 (Debian)\n"
        'CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;\nCREATE EXTENSION pg_trgm;\n'
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
        "--\n-- PostgreSQL database dump complete\n--\n",
    )

    assert found.server_version == "17.4"
    assert found.extensions == ("pg_trgm", "uuid-ossp")
    assert found.warnings[0].startswith("1 functions, rules or triggers of this file will run with the rights")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("-- PostgreSQL database dump\nSELECT 1;\n", "the last line of pg_dump"),
        ("SELECT 1;\nCOPY a FROM stdin;\n1\n", "it ends inside COPY data"),
        ("SELECT 1;\nSELECT 'x", "it ends inside a string that begins in line 2"),
        ("-- only a comment\n", "it is text of another kind"),
    ],
)
def test_a_file_that_does_not_read_to_its_end_is_corrupt(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(ArchiveCorrupt) as failure:
        look(tmp_path, text)

    assert cause in (failure.value.cause or "")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ALTER TABLE public.a OWNER TO joe;", "owners"),
        ('ALTER FUNCTION "f"(int) OWNER TO "Joe";', "owners"),
        ("GRANT SELECT ON a TO joe;", "grants"),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC;", "grants"),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE joe GRANT SELECT ON TABLES TO PUBLIC;", "grants"),
        ("COMMENT ON EXTENSION plpgsql IS 'x';", "comments on extensions"),
        ("SET SESSION AUTHORIZATION 'joe';", "changes of the role"),
        ("CREATE SCHEMA public;", "the schema public, which is there"),
        ("SET transaction_timeout = 0;", "transaction_timeout, which this server does not know"),
        ("ALTER TABLE a ADD COLUMN owner text;", None),
        ("CREATE SCHEMA public2;", None),
        ("SET statement_timeout = 0;", None),
        ("INSERT INTO a VALUES ('OWNER TO joe');", None),
    ],
)
def test_what_is_left_out_of_a_foreign_file(line: str, what: str | None) -> None:
    (statement,) = PlainSqlReader().feed(line.encode())

    assert leaves_out(statement, 16) == what
