"""How do we ask Alembic, and what do its failures mean to a person?

Every call runs the program of `alembic_program.py` once and translates its reply. The password that travels in
the request is masked in everything that comes back.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

from ops.adapters.alembic_errors import translate
from ops.adapters.alembic_runner import Ended, Run
from ops.errors import (
    ConfigurationError,
    UpgradeFailed,
)
from ops.model.database_url import build_database_url
from ops.model.endpoint import Endpoint, PostgresEndpoint, SqliteEndpoint
from ops.model.revision import History, Outlook, Revision, StepSql
from ops.model.secret import MASK

DEADLINE_S = 300.0
CHANGES = ("upgrade", "downgrade")
"""Commands that change the database."""


class AlembicMigrator:
    """The `Migrator` port on Alembic.

    Args:
        run: how the program is started (`run_in_tree`, `run_in_container`).
        endpoint: the live database as the program reaches it from there; `database=` names one beside it.
        config: the Alembic configuration's file name, relative to where the program runs.
        deadline_s: how long a question may take; a change is bounded by its statement timeout instead.
        is_orphan_refused: what an env.py that looks for orphans itself is told (`attributes["check_foreign_keys"]`):
            False where the caller reports them, all of them.
    """

    def __init__(
        self,
        run: Run,
        endpoint: Endpoint,
        *,
        config: str = "alembic.ini",
        deadline_s: float = DEADLINE_S,
        is_orphan_refused: bool = True,
    ) -> None:
        self._run = run
        self._deadline_s = deadline_s
        self._endpoint = endpoint
        self._config = config
        self._is_orphan_refused = is_orphan_refused

    def history(self) -> History:
        """All revisions and heads. Raises: ConfigurationError, RevisionConflict."""
        return _history(self._ask("history"))

    def outlook(self, current: Sequence[str]) -> Outlook:
        """The history, and the SQL of each revision that a database at `current` lacks."""
        reply = self._ask("history", sql_after=list(current))
        return Outlook(_history(reply), _step_sqls(reply.get("sql", {})))

    def downgrade_sql(self, revisions: Sequence[str]) -> Mapping[str, StepSql]:
        """The SQL of each revision's downgrade by itself."""
        return _step_sqls(self._ask("sql", revisions=list(revisions), direction="down")["sql"])

    def sql(self, start: str | None, target: str) -> str:
        """The SQL of a whole range."""
        return str(self._ask("sql", start=start, target=target)["text"])

    def current(self, database: str | None = None) -> tuple[str, ...]:
        """What the version table holds."""
        return tuple(self._ask("current", database=database)["current"])

    def upgrade(
        self, target: str, *, database: str | None = None, lock_timeout_s: float, statement_timeout_s: float
    ) -> None:
        """Apply up to and including one revision."""
        self.upgrade_each(
            [target], database=database, lock_timeout_s=lock_timeout_s, statement_timeout_s=statement_timeout_s
        )

    def upgrade_each(
        self,
        targets: Sequence[str],
        *,
        database: str | None = None,
        lock_timeout_s: float,
        statement_timeout_s: float,
        on_applied: Callable[[str, float], None] | None = None,
    ) -> None:
        """Apply these revisions in order, each in its own transaction."""

        def hear(event: dict[str, Any]) -> None:
            if on_applied is not None:
                on_applied(str(event["revision"]), float(event["duration_s"]))

        self._ask(
            "upgrade",
            hear,
            database=database,
            targets=list(targets),
            lock_timeout_s=lock_timeout_s,
            statement_timeout_s=statement_timeout_s,
        )

    def downgrade(
        self, target: str, *, database: str | None = None, lock_timeout_s: float, statement_timeout_s: float
    ) -> None:
        """Undo down to `target`; `base` undoes all."""
        self._ask(
            "downgrade",
            database=database,
            target=target,
            lock_timeout_s=lock_timeout_s,
            statement_timeout_s=statement_timeout_s,
        )

    def drift(self, database: str | None = None) -> tuple[str, ...]:
        """Differences between models and database, one sentence each."""
        return tuple(self._ask("drift", database=database)["differences"])

    def create(self, message: str, *, autogenerate: bool) -> Path:
        """Write a new revision file."""
        return Path(self._ask("create", message=message, autogenerate=autogenerate)["path"])

    def _ask(
        self,
        command: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        *,
        database: str | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        endpoint = _beside(self._endpoint, database)
        replies = _Replies(on_event)
        request = {
            "marker": replies.marker,
            "command": command,
            "config": self._config,
            "url": build_database_url(endpoint).reveal(),
            "check_foreign_keys": self._is_orphan_refused,
            "deadline_s": None if command in CHANGES else self._deadline_s,
            "silence_s": endpoint.silence_s if isinstance(endpoint, PostgresEndpoint) else None,
            **arguments,
        }
        ended = self._run(json.dumps(request).encode() + b"\n", replies.feed)
        last = replies.last
        if last is None:
            _no_reply(command, ended, endpoint)
        if last["event"] == "error":
            fields = {key: _masked(value, endpoint) for key, value in last.items()}
            raise translate(fields, endpoint)
        return last


class _Replies:
    """Takes the program's stdout apart; whatever does not carry this request's marker is not ours."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None] | None) -> None:
        self.marker = f"ops-alembic-{secrets.token_hex(8)} "
        self.last: dict[str, Any] | None = None
        self._on_event = on_event
        self._rest = b""

    def feed(self, block: bytes) -> None:
        """Take the next bytes."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            _, found, body = line.partition(self.marker.encode())
            if not found:
                continue
            event = json.loads(body)
            if event["event"] in ("done", "error"):
                self.last = event
            elif self._on_event is not None:
                self._on_event(event)


def _beside(endpoint: Endpoint, database: str | None) -> Endpoint:
    if database is None:
        return endpoint
    if isinstance(endpoint, SqliteEndpoint):
        return SqliteEndpoint(endpoint.path.parent / database)
    return replace(endpoint, database=database)


def _history(reply: dict[str, Any]) -> History:
    revisions = tuple(
        Revision(
            id=item["id"],
            down_revisions=tuple(item["down_revisions"]),
            message=item["message"] or "",
            path=item["path"],
            has_downgrade=item["has_downgrade"],
            depends_on=tuple(item["depends_on"]),
        )
        for item in reply["revisions"]
    )
    return History(revisions, tuple(reply["heads"]))


def _step_sqls(found: Mapping[str, Mapping[str, Any]]) -> dict[str, StepSql]:
    return {name: StepSql(item["sql"], item.get("reason", "")) for name, item in found.items()}


def _masked(value: Any, endpoint: Endpoint) -> Any:
    """The value without the password, in whichever way it was written into it."""
    password = endpoint.password.reveal() if isinstance(endpoint, PostgresEndpoint) else ""
    if isinstance(value, list):
        return [_masked(item, endpoint) for item in value]
    if not isinstance(value, str) or not password:
        return value
    forms = {
        password,
        quote_plus(password),
        quote(password, safe=""),
        quote(password, safe=" +"),
    }  # the last: SQLAlchemy
    for form in sorted(forms | {form.replace("%", "%%") for form in forms}, key=len, reverse=True):
        value = value.replace(form, MASK)
    return value


def _no_reply(command: str, ended: Ended, endpoint: Endpoint) -> NoReturn:
    last_lines = " | ".join(_masked(ended.stderr, endpoint).strip().splitlines()[-3:])
    if command not in CHANGES or "No module named" in last_lines:
        raise ConfigurationError(
            f"alembic cannot be run: it ended with exit code {ended.exit_code} without an answer",
            cause=last_lines or "it was killed",
            hint="install alembic, sqlalchemy and the database driver where it runs",
        )
    raise UpgradeFailed(
        f"alembic ended with exit code {ended.exit_code} without an answer",
        cause=last_lines or "it was killed",
        hint="inv history",
    )
