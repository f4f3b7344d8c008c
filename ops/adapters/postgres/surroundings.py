"""How is that put back which `pg_dump` leaves out: a database's settings, grants and connection limit?

The database's access rights are given as PostgreSQL's own text (`reader=c*/owner`), one item a grantee. An empty
list means the default (PUBLIC may connect and make temporary tables), a list means exactly that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
from psycopg import sql

from ops.model.database import DatabaseFacts

_RIGHTS = {"C": "CREATE", "c": "CONNECT", "T": "TEMPORARY"}

# Source: PostgreSQL's variable_is_guc_list_quote (src/bin/pg_dump/dumputils.c): these hold lists of quoted names.
_QUOTED_LISTS = frozenset({
    "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
    "temp_tablespaces", "unix_socket_directories",
})  # fmt: skip


def carry_over(session: psycopg.Connection, name: str, facts: DatabaseFacts) -> tuple[str, ...]:
    """Put settings, grants and connection limit of `facts` on the database `name`.

    The session is in autocommit mode. Doing it twice changes nothing more.

    Returns: what could not be put back, with why; one sentence each.
    """
    problems: list[str] = []
    database = sql.Identifier(name)

    def attempt(what: str, statement: sql.Composed) -> None:
        try:
            session.execute(statement)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as exc:
            problems.append(f"{what}: {exc.diag.message_primary or exc}")

    attempt(
        "connection limit",
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(database, sql.Literal(facts.connection_limit)),
    )
    for role, setting, value in facts.settings:
        who = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database) if role else None
        target = who or sql.SQL("DATABASE {}").format(database)
        attempt(
            f"setting {setting}" + (f" of role {role}" if role else ""),
            sql.SQL("ALTER {} SET {} TO {}").format(target, _setting_name(setting), _setting_value(setting, value)),
        )
    _grant(database, facts, attempt)
    return tuple(problems)


def _setting_name(setting: str) -> sql.Composable:
    return sql.SQL(".").join(sql.Identifier(part) for part in setting.split("."))


def _setting_value(setting: str, value: str) -> sql.Composable:
    if setting.lower() not in _QUOTED_LISTS:
        return sql.Literal(value)
    names = list(split_quoted_list(value))
    return sql.SQL(", ").join(map(sql.Literal, names)) if names else sql.Literal("")


def split_quoted_list(text: str) -> Iterator[str]:
    """The names in a list such as `"$user", public`; doubled quotes inside quotes are one."""
    item, in_quotes, position = "", False, 0
    was_quoted = False
    while position < len(text):
        letter = text[position]
        if letter == '"':
            if in_quotes and text[position + 1 : position + 2] == '"':
                item += '"'
                position += 1
            else:
                in_quotes = not in_quotes
                was_quoted = True
        elif letter == "," and not in_quotes:
            yield item if was_quoted else item.strip()
            item, was_quoted = "", False
        elif in_quotes or not letter.isspace():
            item += letter
        position += 1
    if item or was_quoted:
        yield item


def _grant(database: sql.Identifier, facts: DatabaseFacts, attempt: Callable[[str, sql.Composed], None]) -> None:
    if not facts.grants:
        return
    attempt("rights of PUBLIC", sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    if facts.owner:
        attempt(
            f"rights of {facts.owner}",
            sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, sql.Identifier(facts.owner)),
        )
    for item in facts.grants:
        grantee, rights = parse_grant(item)
        to = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        for is_grantable in (False, True):
            words = [_RIGHTS[letter] for letter, grantable in rights if grantable == is_grantable]
            if words:
                attempt(
                    f"{', '.join(words)} of {grantee or 'PUBLIC'}",
                    sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
                        sql.SQL(", ").join(map(sql.SQL, words)), database, to
                    )
                    + sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
                )


def parse_grant(item: str) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """An access item such as `"my role"=c*T/owner` as the grantee ("" is PUBLIC) and (letter, may grant it on)."""
    grantee, rest, position = "", "", 0
    in_quotes = False
    while position < len(item):
        letter = item[position]
        if letter == '"':
            if in_quotes and item[position + 1 : position + 2] == '"':
                grantee += '"'
                position += 1
            else:
                in_quotes = not in_quotes
        elif letter == "=" and not in_quotes:
            rest = item[position + 1 :].partition("/")[0]
            break
        else:
            grantee += letter
        position += 1
    rights = tuple(
        (letter, rest[index + 1 : index + 2] == "*") for index, letter in enumerate(rest) if letter in _RIGHTS
    )
    return grantee, rights
