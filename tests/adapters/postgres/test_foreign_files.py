"""Which foreign files are restored, which are refused, and can any of them reach beyond its scratch database?"""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
import zstandard

from ops.errors import ArchiveCorrupt, LoadFailed, RestoreRefused
from ops.model.endpoint import PostgresEndpoint
from tests.adapters.postgres.restoring import Stack, make_stack
from tests.conftest import postgres_binaries

pytestmark = pytest.mark.postgres


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    stack = make_stack(fresh_database, tmp_path)
    stack.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, text text, at timestamptz DEFAULT now())",
        r"INSERT INTO notes (text) VALUES (E'\\! rm -rf /'), (E'\\.'), ('semi;colon''s $$ --'), (NULL), (E'a\tb\nc')",
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n; SELECT n * 2; END",
        "CREATE INDEX ON notes (lower(text))",
        "SELECT lo_from_bytea(0, '\\x00ff')",
        "COMMENT ON TABLE notes IS 'quoted; \\! text'",
        "CREATE EXTENSION IF NOT EXISTS plpgsql",
    )
    return stack


def dump(stack: Stack, path: Path, *options: str) -> Path:
    there = stack.endpoint
    subprocess.run(
        [postgres_binaries() / "pg_dump", "-h", there.host, "-p", str(there.port), "-U", there.user,
         "-f", path, *options, there.database],
        check=True, env={"PGPASSWORD": there.password.reveal()},
    )  # fmt: skip
    return path


def loaders(stack: Stack) -> list[tuple]:
    return stack.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ops_load%'")


KINDS = {
    "plain": [], "inserts": ["--inserts"], "column inserts": ["--column-inserts"], "clean": ["--clean", "--if-exists"],
    "create": ["--create"], "create clean": ["--create", "--clean", "--if-exists"],
    "custom": ["-Fc"], "custom create": ["-Fc", "--create"], "directory": ["-Fd"], "tar": ["-Ft"],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_dump_is_restored_whole_and_belongs_to_the_live_owner(
    stack: Stack, tmp_path: Path, kind: str
) -> None:
    name = stack.endpoint.database
    stack.run(
        f"COMMENT ON DATABASE {name} IS 'theirs'",
        f"ALTER DATABASE {name} SET work_mem = '5MB'",
        f"ALTER ROLE tester IN DATABASE {name} SET work_mem = '6MB'",
    )
    before = stack.database.tables()
    path = dump(stack, tmp_path / "theirs.backup", *KINDS[kind])
    stack.run("DROP TABLE notes")

    report = stack.restore(file=str(path))

    assert stack.database.tables() == before
    assert report.is_verified is False
    assert stack.run("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE oid >= 16384") == [("tester",)]
    assert stack.run("SELECT twice(4), obj_description('notes'::regclass)") == [(8, "quoted; \\! text")]
    assert stack.run("SELECT lo_get(oid), pg_get_userbyid(lomowner) FROM pg_largeobject_metadata") == [
        (b"\x00\xff", "tester")
    ]
    assert stack.run("INSERT INTO notes (text) VALUES ('next') RETURNING id") == [(6,)]
    assert loaders(stack) == []


@pytest.mark.parametrize("kind", ["plain", "custom"])
@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_a_compressed_dump_is_restored(stack: Stack, tmp_path: Path, kind: str, packed: str) -> None:
    before = stack.database.tables()
    content = dump(stack, tmp_path / "plain", *KINDS[kind]).read_bytes()
    path = tmp_path / "theirs.packed"
    path.write_bytes(gzip.compress(content) if packed == "gzip" else zstandard.compress(content))
    stack.run("DROP TABLE notes")

    stack.restore(file=str(path))

    assert stack.database.tables() == before


@pytest.mark.parametrize("kind", ["plain", "custom", "tar"])
def test_a_dump_that_was_cut_short_is_found_before_anything_changes(stack: Stack, tmp_path: Path, kind: str) -> None:
    content = dump(stack, tmp_path / "whole", *KINDS[kind]).read_bytes()
    path = tmp_path / "cut.sql"
    path.write_bytes(content[: int(len(content) * 0.6)])

    with pytest.raises(ArchiveCorrupt):
        stack.restore(file=str(path))

    assert stack.databases() == [stack.endpoint.database]


def test_a_custom_archive_with_flipped_bytes_is_found_before_anything_changes(stack: Stack, tmp_path: Path) -> None:
    stack.run("INSERT INTO notes (text) SELECT md5(n::text) FROM generate_series(1, 5000) n")
    path = dump(stack, tmp_path / "theirs.dump", "-Fc")
    content = bytearray(path.read_bytes())
    for position in range(len(content) // 2, len(content) // 2 + 40):
        content[position] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(ArchiveCorrupt):
        stack.restore(file=str(path))


def test_a_dump_with_a_shell_command_is_refused_before_anything_changes(stack: Stack, tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "evil.sql"
    path.write_text(f"CREATE TABLE a (x int);\n\\! touch {mark}\n")

    with pytest.raises(RestoreRefused) as refusal:
        stack.restore(file=str(path))

    assert refusal.value.cause == r"line 2: the psql command \!"
    assert not mark.exists()
    assert stack.databases() == [stack.endpoint.database]


HIDDEN = {
    "do": "DO $do$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {mark}'''; END $do$;",
    "function": "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS"
    " 'BEGIN EXECUTE ''COPY (SELECT 1) TO PROGRAM ''''touch {mark}''''''; END'; SELECT f();",
    "escape": "SELECT pg_catalog.set_config('role', 'tester', false);",
    "session": "DO $do$ BEGIN EXECUTE 'SET SESSION AUTHORIZATION tester'; END $do$;",
    "file": "SELECT pg_read_file('/etc/passwd');",
    "large object": "SELECT lo_export(1, '{mark}');",
    "terminate": "CREATE TABLE x AS SELECT 1 / (pg_terminate_backend(pid)::int - 1) FROM pg_stat_activity"
    " WHERE usename = 'tester';",
    "settings": "ALTER SYSTEM SET log_min_messages = 'panic';",
    "other": "DO $do$ BEGIN EXECUTE 'ALTER DATABASE postgres CONNECTION LIMIT 0'; END $do$;",
}


@pytest.mark.parametrize("trick", HIDDEN)
def test_what_hides_in_a_dump_has_no_rights_to_do_it(stack: Stack, tmp_path: Path, trick: str) -> None:
    mark = tmp_path / "mark"
    tmp_path.chmod(0o777)
    path = tmp_path / "evil.sql"
    path.write_text("CREATE TABLE innocent (x int);\n" + HIDDEN[trick].format(mark=mark) + "\n")

    with pytest.raises(LoadFailed) as failure:
        stack.restore(file=str(path))

    assert "line 2 of the file" in (failure.value.cause or "")
    assert not mark.exists()
    assert stack.databases() == [stack.endpoint.database]
    assert loaders(stack) == []


def test_code_in_a_custom_archive_has_no_rights_either(stack: Stack, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    tmp_path.chmod(0o777)
    stack.run(
        "CREATE FUNCTION fine(n int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END'",
        "ALTER TABLE notes ADD CHECK (fine(id))",
        "CREATE OR REPLACE FUNCTION fine(n int) RETURNS bool LANGUAGE plpgsql AS"
        f" $f$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {mark}'''; RETURN true; END $f$",
    )
    path = dump(stack, tmp_path / "evil.dump", "-Fc")

    with pytest.raises(LoadFailed, match="pg_restore ended with 1") as failure:
        stack.restore(file=str(path))

    assert "permission denied to COPY to or from an external program" in (failure.value.cause or "")
    assert not mark.exists()
    assert loaders(stack) == []


def test_an_error_in_the_middle_names_its_line_and_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "broken.sql"
    path.write_text(
        "CREATE TABLE a (x int PRIMARY KEY);\n"
        + "".join(f"INSERT INTO a VALUES ({n});\n" for n in range(50))
        + "INSERT INTO a VALUES (7);\nINSERT INTO a VALUES (51);\n"
    )

    with pytest.raises(LoadFailed, match="duplicate key value") as failure:
        stack.restore(file=str(path))

    assert "line 52 of the file" in (failure.value.cause or "")
    assert stack.databases() == [stack.endpoint.database]


def test_a_wrong_value_in_copy_data_names_the_line_of_its_copy(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "broken.sql"
    path.write_text("CREATE TABLE a (x int);\n\nCOPY a (x) FROM stdin;\n1\ntwo\n\\.\n")

    with pytest.raises(LoadFailed, match='invalid input syntax for type integer: "two"') as failure:
        stack.restore(file=str(path))

    assert "line 3 of the file: COPY a, line 2" in (failure.value.cause or "")


def test_owners_and_grants_of_roles_that_are_not_here_do_not_stop_a_foreign_dump(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "theirs.sql"
    path.write_text(
        "\\restrict aB3\nSET transaction_timeout = 0;\nCREATE SCHEMA public;\nCREATE TABLE public.a (x int);\n"
        "ALTER TABLE public.a OWNER TO nobody_here;\nGRANT SELECT ON TABLE public.a TO nobody_here;\n"
        "ALTER DEFAULT PRIVILEGES FOR ROLE nobody_here GRANT SELECT ON TABLES TO PUBLIC;\n\\unrestrict aB3\n"
    )

    stack.restore(file=str(path))

    assert stack.run("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'a'") == [("tester",)]
    assert "not taken over from theirs.sql: grants, owners, the schema public, which is there" in stack.report.notes


def test_a_sqlite_file_is_sent_to_transfer(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "comic_pile.db"
    path.write_bytes(b"SQLite format 3\x00" + bytes(100))

    with pytest.raises(RestoreRefused) as refusal:
        stack.plan(file=str(path))

    assert refusal.value.hint == f"inv transfer --source sqlite:///{path}"


def dump_all(stack: Stack, path: Path, *options: str) -> Path:
    there = stack.endpoint
    words = ["-h", there.host, "-p", str(there.port), "-U", there.user, "--no-role-passwords", *options]
    with path.open("wb") as file:
        subprocess.run(
            [postgres_binaries() / "pg_dumpall", *words],
            check=True, stdout=file, env={"PGPASSWORD": there.password.reveal()},
        )  # fmt: skip
    return path


@pytest.mark.parametrize("packer", ["", "gzip"])
def test_a_dump_of_a_whole_server_is_refused_with_the_line_that_gets_our_database_out_of_it(
    stack: Stack, tmp_path: Path, packer: str
) -> None:
    before = stack.database.tables()
    path = dump_all(stack, tmp_path / "all of it.sql")
    if packer:
        subprocess.run([packer, path], check=True)
        path = path.with_name(path.name + ".gz")
    stack.run("DROP TABLE notes")

    with pytest.raises(RestoreRefused) as refused:
        stack.plan(file=str(path))

    name = stack.endpoint.database
    assert refused.value.message == f"{path.name} is the dump of a whole server (pg_dumpall), not of one database"
    assert name in (refused.value.cause or "")
    line, _, then = (refused.value.hint or "").partition(", then: ")
    assert then == f"inv restore --file {name}.sql"
    subprocess.run(["sh", "-ec", line], cwd=tmp_path, check=True)
    stack.restore(file=str(tmp_path / f"{name}.sql"))
    assert stack.database.tables() == before


def test_a_dump_of_roles_alone_is_refused_as_such(stack: Stack, tmp_path: Path) -> None:
    path = dump_all(stack, tmp_path / "roles.sql", "--globals-only")

    with pytest.raises(RestoreRefused, match="whole server") as refused:
        stack.plan(file=str(path))

    assert refused.value.cause == "it holds roles and settings only"
