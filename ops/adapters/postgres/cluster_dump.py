"""Is an SQL file the dump of a whole server (pg_dumpall), and how does one database come out of it?

It makes roles and enters several databases, so it is refused: which of them is meant only a person knows. Each of them
is a dump by itself in there, between two comments, and as such is taken.

Source: pg_dumpall's `dumpDatabases` (PostgreSQL 9.6 to 18).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from shlex import quote

from ops.adapters.archive_probe import plain_blocks
from ops.errors import RestoreRefused
from ops.ports import LoadSource

HEADER = b"-- PostgreSQL database cluster dump"
_DATABASE = re.compile(rb'^-- Database "(.+)" dump$')
_END = "-- PostgreSQL database dump complete"
_PACKERS = {"gzip": "gzip -dc", "zstd": "zstd -dc"}
_SERVERS_OWN = ("template1", "postgres")
_SHOWN = 5


def cluster_refusal(source: LoadSource, live: str) -> RestoreRefused:
    """Why it is refused, with the shell line that gets the database `live` out of it, else the first of somebody's."""
    names = list(_databases(source))
    message = f"{source.path.name} is the dump of a whole server (pg_dumpall), not of one database"
    if not names:
        return RestoreRefused(
            message, cause="it holds roles and settings only", hint="inv restore --file with what pg_dump wrote"
        )
    wanted = live if live in names else min(names, key=lambda name: name in _SERVERS_OWN)
    file = quote(f"{wanted}.sql")
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    return RestoreRefused(
        message,
        cause=f"it makes roles, and holds {shown}",
        hint=f"{_cut_out(source, wanted)} > {file}, then: inv restore --file {file}",
    )


def _databases(source: LoadSource) -> Iterator[str]:
    rest = b""
    for block in plain_blocks(source.path, source.compression):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if found := _DATABASE.match(line):
                yield found.group(1).decode(errors="replace")


def _cut_out(source: LoadSource, name: str) -> str:
    begin = re.sub(r"([][\\/.*^$])", r"\\\1", f'-- Database "{name}" dump')
    cut, file = f"sed -n {quote(f'/^{begin}$/,/^{_END}$/p')}", quote(str(source.path))
    packer = _PACKERS.get(source.compression)
    return f"{packer} {file} | {cut}" if packer else f"{cut} {file}"
