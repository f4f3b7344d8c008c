"""Are checksums the same on majors 17 and 18?"""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator

import pytest

from ops.adapters.postgres.connect import connect, in_snapshot
from ops.adapters.postgres.fingerprint import table_summaries
from ops.errors import DatabaseRefused, EngineUnreachable
from ops.model.database import TableSummary
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret

pytestmark = [pytest.mark.postgres, pytest.mark.docker]

CONTENTS = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE t (
    i bigint GENERATED ALWAYS AS IDENTITY, n numeric, f float8, r real, t text, c char(5), v varchar, b bytea,
    ts timestamp, tz timestamptz, d date, tm time, ttz timetz, iv interval, u uuid, j json, jb jsonb,
    a text[], aa int[][], e mood, p pair, dom positive, net inet, mac macaddr, pt point, bx box, rng int4range,
    mr int4multirange, bits varbit, m money, ts_v tsvector, oid_v oid, cls regclass, bool_v boolean,
    g int GENERATED ALWAYS AS (dom * 2) STORED
);
INSERT INTO t (n, f, r, t, c, v, b, ts, tz, d, tm, ttz, iv, u, j, jb, a, aa, e, p, dom, net, mac, pt, bx, rng, mr,
               bits, m, ts_v, oid_v, cls, bool_v)
SELECT CASE WHEN i % 7 = 0 THEN 'NaN' ELSE i::numeric / 3 END, CASE WHEN i % 5 = 0 THEN '-0' ELSE i / 7.0 END,
       CASE WHEN i % 11 = 0 THEN 'Infinity' ELSE i / 9.0 END, 'tést "quoted", \\ ' || i, 'x', NULL,
       decode(md5(i::text), 'hex'), timestamp '2024-02-29 12:34:56.789012' + i * interval '1 hour',
       timestamptz '2024-10-27 01:30:00+02' + i * interval '17 min', date '0044-03-15 BC' + i, time '23:59:59.999',
       timetz '12:00:00+05:30', interval '1 year 2 mons -3 days 04:05:06.7' * i, md5(i::text)::uuid,
       '{"b" : 1,  "a":2, "a":3}', '{"b" : 1,  "a":2.50}', ARRAY['a', NULL, 'b,"c'], ARRAY[[1,2],[3,i]],
       'ok', ROW(i, 'x y')::pair, i + 1, '10.0.0.1/8', '08:00:2b:01:02:03', point(i, 0.1),
       box(point(0, 0), point(1, i)),
       int4range(i, i + 5), '{[1,3),[5,9)}', B'1010', 1234.5, to_tsvector('simple', 'a fat cat'), i, 't', i % 2 = 0
FROM generate_series(1, 200) i;
CREATE TABLE partitioned (i int, t text) PARTITION BY HASH (i);
CREATE TABLE part_0 PARTITION OF partitioned FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF partitioned FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO partitioned SELECT i, md5(i::text) FROM generate_series(1, 200) i;
CREATE TABLE bare ();
INSERT INTO bare DEFAULT VALUES;
SELECT lo_from_bytea(4242, convert_to(repeat('x', 100000), 'UTF8'));
"""


def summaries(endpoint: PostgresEndpoint) -> tuple[TableSummary, ...]:
    with connect(endpoint) as session:
        session.execute(CONTENTS)
        in_snapshot(session)
        return table_summaries(session)


@pytest.fixture
def postgres_17() -> Iterator[PostgresEndpoint]:
    name, password = f"opstest-fingerprint-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    subprocess.run(
        [
            "docker", "run", "--detach", "--rm", "--name", name, "--publish", "127.0.0.1::5432",
            "--env", "POSTGRES_PASSWORD",
            "--env", "POSTGRES_INITDB_ARGS=--locale-provider=builtin --builtin-locale=C.UTF-8",
            "postgres:17",
        ],
        check=True, capture_output=True, env={"POSTGRES_PASSWORD": password, "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )  # fmt: skip
    try:
        told = subprocess.run(["docker", "port", name, "5432/tcp"], check=True, capture_output=True, text=True).stdout
        port = int(told.split()[0].rsplit(":", 1)[1])
        endpoint = PostgresEndpoint("127.0.0.1", port, "postgres", Secret(password), "postgres")
        for _ in range(300):
            try:
                connect(endpoint).close()
                break
            except (EngineUnreachable, DatabaseRefused):
                time.sleep(0.1)
        yield endpoint
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


def test_equal_contents_have_equal_checksums_on_17_and_18(
    fresh_database: PostgresEndpoint, postgres_17: PostgresEndpoint
) -> None:
    newer, older = summaries(fresh_database), summaries(postgres_17)

    assert [table.name for table in newer] == [
        "pg_largeobject", "public.bare", "public.part_0", "public.part_1", "public.t",
    ]  # fmt: skip
    assert newer == older
