"""How is Alembic run without letting a foreign `env.py` touch our process?

This file is a program of its own: it imports Alembic, SQLAlchemy and the standard library, nothing of ops, so
that its source can be handed to `python -c` in a deployed image that has no ops. It is one file for that reason.

Protocol: one JSON line on stdin is the request; JSON lines on stdout, each behind the request's marker, are the
replies. `{"event": "applied", ...}` may come many times, `done` or `error` comes last. Everything that foreign
code prints goes to stderr. The end of stdin is the parent's death: the program ends at once, inside whatever
transaction is open, and the server rolls it back. Where OPS_TWIN names four descriptors, the program forks before it
reads its request: the twin has these as stdin, stdout and stderr, and tells its number and its exit code through the
fourth.

The database's URL reaches a foreign `env.py` in each usual way: DATABASE_URL, `sqlalchemy.url` of the
configuration, and `config.attributes`. A connection to any other database is refused before the first statement.
"""

# ruff: noqa: E402 - Alembic is imported between two settings of sys.path, see below

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import io
import json
import os
import re
import socket
import struct
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

_ASK_S = 5
_HERE = os.path.realpath(os.getcwd())  # noqa: PTH109 - pathlib gains nothing in a program of strings
sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != _HERE]
gc.disable()  # no cycle is worth looking for among what is imported: a tenth of the time of it
import alembic.command
import alembic.util
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory
from alembic.script.revision import MultipleHeads, ResolutionError, RevisionError
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from alembic.script import Script

gc.enable()
sys.path.insert(0, _HERE)  # only now: a project's own `alembic/` folder must not hide the library

_OWN_FILE = os.path.realpath(globals().get("__file__", ""))  # there is none under `python -c`
RETRIABLE = {"55P03": "lock_timeout", "40P01": "lock_timeout", "57014": "statement_timeout"}
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
CONCURRENTLY = re.compile(r"\s*(CREATE|DROP|REINDEX|REFRESH|ALTER)\b.*\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)
ASKS_WHO_BLOCKS = """
SELECT DISTINCT 'pid ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'unnamed') || ', ' || a.state
       || ' since ' || to_char(a.state_change AT TIME ZONE 'UTC', 'HH24:MI:SS') || ' UTC) holds ' || l.mode
       || ' on ' || c.relname || ': ' || left(regexp_replace(a.query, '\\s+', ' ', 'g'), 120)
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.granted AND l.pid <> pg_backend_pid() AND a.datname = current_database() AND l.database = a.datid
   AND c.relkind IN ('r', 'p', 'm') AND position(lower(c.relname) IN lower(:statement)) > 0
 ORDER BY 1 LIMIT 5
"""


class Problem(Exception):
    """A failure that the parent translates: `kind` is the protocol's word for it."""

    def __init__(self, kind: str, message: str, **fields: object) -> None:
        super().__init__(message)
        self.kind = kind
        self.fields = fields


class Job:
    """One request with what all commands need: configuration, scripts, and where replies go."""

    def __init__(self, request: dict[str, Any], reply: Callable[..., None]) -> None:
        self.request = request
        self.reply = reply
        self.config = Config(request["config"], stdout=sys.stderr, **_toml_file())
        if not os.path.exists(request["config"]):  # noqa: PTH110
            raise Problem("missing_script", f"there is no {request['config']} in {_HERE}")
        self.url = _with_usable_driver(make_url(request["url"]), self._project_url())
        _announce(self.config, self.url, request)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.script = ScriptDirectory.from_config(self.config)
                self.heads = tuple(self.script.get_heads())
                self.scripts = {item.revision: item for item in self.script.walk_revisions("base", "heads")}
            except (alembic.util.CommandError, RevisionError, KeyError) as exc:
                if "Path doesn't exist" in str(exc) or "script_location" in str(exc):
                    raise Problem("missing_script", f"{request['config']}: {_command_text(exc)}") from exc
                because = "; ".join(str(item.message) for item in caught)
                raise Problem("broken_history", f"{_command_text(exc)} {because}".strip()) from exc
            except (SyntaxError, ImportError, AttributeError, NameError, TypeError, ValueError) as exc:
                where = _last_line_within(exc, _HERE)
                raise Problem("broken_history", f"a revision file cannot be loaded: {exc!r} {where}".strip()) from exc
        wrong = [str(item.message) for item in caught if "present" in str(item.message)]  # "not", "more than once"
        if wrong:
            raise Problem("broken_history", "; ".join(wrong))

    def _project_url(self) -> str:
        with contextlib.suppress(Exception):  # an ini file with a lone % in it is env.py's business, not ours
            return os.environ.get("DATABASE_URL") or self.config.get_main_option("sqlalchemy.url") or ""
        return ""

    def run_env(self, fn: Callable[..., list[Any]], **options: Any) -> None:
        """Run the project's env.py with `fn` deciding the steps."""
        with EnvironmentContext(self.config, self.script, fn=fn, **options):
            self.script.run_env()

    def current(self) -> tuple[str, ...]:
        """The revisions that the database's version table holds, as env.py configures that table."""
        seen: list[str] = []

        def note(rev: tuple[str, ...], _context: object) -> list[Any]:
            seen.extend(rev)
            return []

        self.run_env(note, dont_mutate=True)
        return tuple(sorted(seen))


def _toml_file() -> dict[str, Any]:
    """Alembic 1.16 and later read `[tool.alembic]` too, as their command line does."""
    known = "toml_file" in inspect.signature(Config.__init__).parameters
    return {"toml_file": "pyproject.toml"} if known and os.path.exists("pyproject.toml") else {}  # noqa: PTH110


def _with_usable_driver(url: URL, project_url: str) -> URL:
    """The URL with the driver that the project itself uses, else the first that is installed here."""
    backend = url.get_backend_name()
    wanted = []
    with contextlib.suppress(Exception):
        wanted = [make_url(project_url).drivername]
    candidates = [*wanted, url.drivername]
    if backend == "postgresql":
        candidates += [f"postgresql+{name}" for name in ("psycopg", "psycopg2", "asyncpg", "pg8000")]
    for name in candidates:
        candidate = url.set(drivername=name)
        with contextlib.suppress(Exception):
            if candidate.get_backend_name() == backend:
                candidate.get_dialect().import_dbapi()
                return candidate
    return url


def _announce(config: Config, url: URL, request: dict[str, Any]) -> None:
    shown = url.render_as_string(hide_password=False)
    os.environ["DATABASE_URL"] = shown
    config.set_main_option("sqlalchemy.url", shown.replace("%", "%%"))
    for key in ("sqlalchemy.url", "database_url", "url"):
        config.attributes[key] = shown
    config.attributes["check_foreign_keys"] = request.get("check_foreign_keys", True)
    limits = {name: request.get(f"{name}_s") for name in ("lock_timeout", "statement_timeout")}
    options = [os.environ.get("PGOPTIONS", "")]
    options += [f"-c {name}={int(seconds * 1000)}" for name, seconds in limits.items() if seconds is not None]
    if request["command"] in {"upgrade", "downgrade"} and url.get_backend_name() == "postgresql":
        options.append("-c client_connection_check_interval=1000")  # a statement whose client died ends within 1 s
        event.listen(Engine, "before_cursor_execute", _set_lock_timeout(limits["statement_timeout"]))
        event.listen(Engine, "after_cursor_execute", _set_lock_timeout(limits["lock_timeout"]))
    os.environ["PGOPTIONS"] = " ".join(filter(None, options))
    os.environ.setdefault("PGCONNECT_TIMEOUT", "15")
    os.environ["PGAPPNAME"] = "ops-migrate"
    event.listen(Engine, "engine_connect", _refuse_other_than(url))


def _set_lock_timeout(seconds: float | None) -> Callable[..., None]:
    """A listener around statements that say CONCURRENTLY.

    They wait for old transactions by design and block nobody meanwhile; all others, in the same revision too, keep the
    short timeout, for a waiting ALTER blocks every later query on its table.
    """

    def set_it(connection: Any, _cursor: object, statement: str, *_rest: object) -> None:
        if seconds is not None and is_concurrent(statement):
            beside = connection.connection.cursor()
            beside.execute(f"SET lock_timeout = {int(seconds * 1000)}")
            beside.close()

    return set_it


def is_concurrent(statement: str) -> bool:
    """Whether a statement works concurrently; what comments say of it does not count."""
    return CONCURRENTLY.match(COMMENT.sub(" ", statement)) is not None


def _refuse_other_than(url: URL) -> Callable[..., None]:
    """A listener that stops an env.py which connects elsewhere, before its first statement."""

    def check(connection: Any, *_branch: object) -> None:
        actual = connection.engine.url
        if not _is_same(actual, url):
            raise Problem("wrong_database", f"env.py connects to {actual.render_as_string(hide_password=True)}")

    return check


def _is_same(one: URL, other: URL) -> bool:
    if one.get_backend_name() != other.get_backend_name():
        return False
    if one.get_backend_name() == "sqlite":
        return len({os.path.realpath(url.database or ":memory:") for url in (one, other)}) == 1
    (one_host, one_port), (other_host, other_port) = _address(one), _address(other)
    return (
        one.database == other.database
        and one_port == other_port
        and (one_host == other_host or bool(_resolved(one_host) & _resolved(other_host)))
    )


def _address(url: URL) -> tuple[str, str]:
    """Host and port, wherever in the URL they are."""
    query = {name: value if isinstance(value, str) else value[0] for name, value in url.query.items()}
    return url.host or query.get("host", ""), str(url.port or query.get("port", 5432))


def _watch(url: URL, silence_s: float, give_up: Callable[[str], None]) -> None:
    """Give up once the server answered nothing at all for so long: a statement may be slow, its socket never tells.

    Asked for whether it speaks TLS, a server answers one byte before any login. Something before it that never answered
    such a question but hangs up on it is there too. A process that was stopped for hours has not seen hours of silence.
    """
    every_s = min(max(silence_s / 10, 0.2), 30.0)
    silent_s, looked_at, has_answered = 0.0, time.monotonic(), False
    while silent_s < silence_s:
        time.sleep(every_s)
        said = _said(url)
        has_answered = has_answered or bool(said)
        is_there = bool(said) if has_answered else said is not None
        silent_s = 0.0 if is_there else silent_s + min(time.monotonic() - looked_at, every_s + _ASK_S)
        looked_at = time.monotonic()
    give_up(f"the server answered nothing for {silence_s:g} s")


def _said(url: URL) -> bytes | None:
    """The first byte of an answer, nothing where somebody hung up, and None where nobody is there."""
    host, port = _address(url)
    if not host or "," in host:  # libpq's own default, or a choice of it: which one cannot be told
        return b""
    try:
        with _line_to(host, port) as line:
            line.sendall(struct.pack("!ii", 8, 80877103))
            return line.recv(1)
    except ConnectionResetError:
        return b""
    except OSError:
        return None


def _line_to(host: str, port: str) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, int(port)), timeout=_ASK_S)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(_ASK_S)
    line.connect(f"{host}/.s.PGSQL.{port}")
    return line


def _resolved(host: str) -> set[str]:
    """The addresses behind a name: `localhost` and `127.0.0.1` are one host."""
    if not host or host.startswith("/"):
        return {"socket:" + host}
    with contextlib.suppress(OSError):
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    return set()


def describe(item: Script, resolve: Callable[[str], Any]) -> dict[str, Any]:
    """One revision as the protocol has it."""
    downs = _as_tuple(item.down_revision)
    return {
        "id": item.revision,
        "down_revisions": downs,
        "depends_on": [resolve(name).revision for name in _as_tuple(item.dependencies)],
        "message": item.doc,
        "path": os.path.relpath(item.path, _HERE),
        "has_downgrade": has_downgrade(item),
    }


def _as_tuple(value: Any) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def has_downgrade(item: Script) -> bool:
    """Whether downgrade() does something, or upgrade() does nothing that would need undoing."""
    try:
        with open(item.path, encoding="utf-8") as file:  # noqa: PTH123
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return callable(getattr(item.module, "downgrade", None))
    bodies = {node.name: _effective(node.body) for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "upgrade" in bodies and not bodies["upgrade"]:
        return True
    if "downgrade" not in bodies:
        return callable(getattr(item.module, "downgrade", None))
    return bool(bodies["downgrade"]) and not any(isinstance(node, ast.Raise) for node in bodies["downgrade"])


def _effective(body: list[ast.stmt]) -> list[ast.stmt]:
    def is_idle(node: ast.stmt) -> bool:
        constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        return constant or isinstance(node, ast.Pass) or (isinstance(node, ast.Return) and node.value is None)

    return [node for node in body if not is_idle(node)]


def in_order(job: Job) -> list[str]:
    """All revisions, base first, each after everything that it needs."""
    ordered: dict[str, None] = {}
    waiting = list(reversed(job.scripts))
    while waiting:
        later = []
        for name in waiting:
            item = job.scripts[name]
            needs = [*_as_tuple(item.down_revision), *_as_tuple(item.dependencies)]
            if all(job.script.get_revision(need).revision in ordered for need in needs):
                ordered[name] = None
            else:
                later.append(name)
        if len(later) == len(waiting):
            raise Problem("broken_history", f"revisions need each other in a circle: {', '.join(later)}")
        waiting = later
    return list(ordered)


def history(job: Job) -> dict[str, Any]:
    """All revisions and heads; with `sql_after`, also the SQL of each revision that those do not include."""
    order = in_order(job)
    result: dict[str, Any] = {
        "heads": job.heads,
        "revisions": [describe(job.scripts[name], job.script.get_revision) for name in order],
    }
    after = job.request.get("sql_after")
    if after is not None and len(job.heads) == 1:
        known: set[str] = set()
        todo = [name for name in after if name in job.scripts]
        while todo:
            name = todo.pop()
            if name not in known:
                known.add(name)
                item = job.scripts[name]
                needs = [*_as_tuple(item.down_revision), *_as_tuple(item.dependencies)]
                todo += [job.script.get_revision(need).revision for need in needs]
        result["sql"] = _all_sql(job, [name for name in order if name not in known], up=True)
    return result


def _all_sql(job: Job, names: list[str], *, up: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = {"sql": step_sql(job, job.scripts[name], up=up)}
        except Problem:
            raise
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - foreign code; its text is the reply
            found[name] = {"sql": None, "reason": f"{type(exc).__name__}: {exc}".splitlines()[0][:300]}
    return found


def step_sql(job: Job, item: Script, *, up: bool) -> str:
    """The SQL of exactly one revision, in one direction, without a database."""
    job.config.output_buffer = buffer = io.StringIO()
    make = MigrationStep.upgrade_from_script if up else MigrationStep.downgrade_from_script
    step = make(job.script.revision_map, item)
    start = list(_as_tuple(item.down_revision)) if up else [item.revision]
    job.run_env(
        lambda _rev, _context: [step],
        as_sql=True,
        starting_rev=start or "base",
        destination_rev=item.revision if up else (_as_tuple(item.down_revision) or ("base",))[0],
    )
    return buffer.getvalue()


def sql(job: Job) -> dict[str, Any]:
    """The SQL of each named revision by itself, or of a whole range `start:target`."""
    if "revisions" in job.request:
        for name in job.request["revisions"]:
            _known(job, name)
        return {"sql": _all_sql(job, job.request["revisions"], up=job.request["direction"] == "up")}
    start, target = job.request["start"] or "base", job.request["target"]
    job.config.output_buffer = buffer = io.StringIO()
    alembic.command.upgrade(job.config, f"{start}:{target}", sql=True)
    return {"text": buffer.getvalue()}


def _known(job: Job, name: str) -> None:
    if name not in job.scripts and name not in {"head", "heads", "base"}:
        raise Problem("unknown_revision", f"there is no revision {name} in the scripts", revision=name)


def upgrade(job: Job) -> dict[str, Any]:
    """Apply each target by itself; a failure leaves those before it applied."""
    for target in job.request["targets"]:
        _known(job, target)
    for target in job.request["targets"]:
        started = time.monotonic()
        job.request["running"] = target
        alembic.command.upgrade(job.config, target)
        _must_be_recorded(job, target)
        job.reply("applied", revision=target, duration_s=round(time.monotonic() - started, 3))
    return {}


def _must_be_recorded(job: Job, target: str) -> None:
    """An env.py can roll back silently: one that runs a statement before `configure` leaves a transaction open."""
    wanted = set(job.heads) if target in {"head", "heads"} else {target}
    reached = {item.revision for item in job.script.iterate_revisions(job.current() or "base", "base")}
    if not wanted <= reached:
        raise Problem("not_recorded", f"revision {target} ran, but the database does not show it", revision=target)


def downgrade(job: Job) -> dict[str, Any]:
    """Undo down to the target, one revision a transaction where env.py allows it."""
    target = job.request["target"]
    _known(job, target)
    job.request["running"] = target
    lower = "base" if target == "base" else target
    for item in job.script.iterate_revisions(job.current() or "base", lower, select_for_downgrade=True):
        if not has_downgrade(item):
            raise Problem("irreversible", f"revision {item.revision} has no downgrade", revision=item.revision)
    alembic.command.downgrade(job.config, target)
    return {"current": job.current()}


def current(job: Job) -> dict[str, Any]:
    """What the version table holds."""
    return {"current": job.current()}


def drift(job: Job) -> dict[str, Any]:
    """Differences between models and database, one sentence each."""
    try:
        alembic.command.check(job.config)
    except alembic.util.AutogenerateDiffsDetected as exc:
        diffs: list[Any] = exc.diffs
        flat = [entry for diff in diffs for entry in (diff if isinstance(diff, list) else [diff])]
        return {"differences": [sentence(entry) for entry in flat]}
    except alembic.util.CommandError as exc:
        if "MetaData" in str(exc):
            return {"differences": [], "has_models": False}
        raise
    return {"differences": []}


def sentence(diff: Any) -> str:
    """One autogenerate difference in words."""
    verb, _, what = diff[0].partition("_")
    if verb == "modify":
        schema, table, column, _existing, old, new = diff[1:7]
        place = ".".join(filter(None, (schema, table, column)))
        return f"{what} of {place} is {old!r} in the database and {new!r} in the models"
    side = "in the models, not in the database" if verb == "add" else "in the database, not in the models"
    if what == "column":
        return f"column {'.'.join(filter(None, (diff[1], diff[2], diff[3].name)))} is {side}"
    thing = diff[1]
    table = getattr(getattr(thing, "table", None), "name", "")
    place = f" of table {table}" if what != "table" and table else ""
    return f"{what} {getattr(thing, 'name', None) or 'without a name'}{place} is {side}"


def create(job: Job) -> dict[str, Any]:
    """Write a new revision file."""
    made: Any = alembic.command.revision(
        job.config, message=job.request["message"], autogenerate=job.request["autogenerate"]
    )
    item = next(iter(made), None) if isinstance(made, list) else made
    if item is None:
        raise Problem("nothing_to_do", "env.py decided that there is nothing to write")
    return {"path": os.path.abspath(item.path), "id": item.revision}  # noqa: PTH100


COMMANDS: dict[str, Callable[[Job], dict[str, Any]]] = {
    function.__name__: function for function in (history, sql, upgrade, downgrade, current, drift, create)
}


def explain(exc: BaseException, job: Job | None) -> dict[str, Any]:
    """What an exception means, in the protocol's words."""
    chain = list(_chain(exc))
    for link in chain:
        if isinstance(link, Problem):
            return {"kind": link.kind, "text": str(link), **link.fields}
        if isinstance(link, DBAPIError):
            return _explain_database(link, exc, job)
    if isinstance(exc, alembic.util.CommandError):
        return {"kind": _command_kind(exc, chain), "text": _command_text(exc)}
    revision = _revision_of(exc, job)
    where = _last_line_within(exc, _HERE)
    described = f"{type(exc).__name__}: {exc}"
    if revision:
        return {"kind": "revision", "text": described, "revision": revision, "where": where}
    return {"kind": "env", "text": described, "where": where}


def _command_kind(exc: BaseException, chain: list[BaseException]) -> str:
    if "not up to date" in str(exc):
        return "not_at_head"
    if "does not provide a MetaData" in str(exc):
        return "no_models"
    if any(isinstance(link, MultipleHeads) for link in chain):
        return "two_heads"
    return "unknown_revision" if any(isinstance(link, ResolutionError) for link in chain) else "alembic"


def _command_text(exc: BaseException) -> str:
    return " ".join(str(part) for part in (exc.args or (exc,)))


def _explain_database(error: DBAPIError, exc: BaseException, job: Job | None) -> dict[str, Any]:
    original = error.orig
    sqlstate = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    message = str(original).strip()
    if error.statement is None and (sqlstate is None or sqlstate[:2] in {"28", "3D", "08", "53", "57"}):
        return {"kind": "connect", "text": message, "sqlstate": sqlstate}
    kind = RETRIABLE.get(sqlstate or "", "revision")
    if "database is locked" in message:
        kind = "lock_timeout"
    statement = " ".join((error.statement or "").split())[:500]
    running = job.request.get("running") if job else None
    return {
        "kind": kind,
        "text": message,
        "sqlstate": sqlstate,
        "statement": statement,
        "revision": _revision_of(exc, job) or running,
        "where": _last_line_within(exc, _HERE),
        "blockers": _blockers(job, statement) if kind == "lock_timeout" and job else [],
    }


def _blockers(job: Job, statement: str) -> list[str]:
    if job.url.get_backend_name() != "postgresql":
        return []
    engine = create_engine(job.url, poolclass=NullPool)
    with contextlib.suppress(Exception), engine.connect() as connection:  # a courtesy: the error itself stands
        return [row[0] for row in connection.execute(text(ASKS_WHO_BLOCKS), {"statement": statement})]
    return []


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _revision_of(exc: BaseException, job: Job | None) -> str | None:
    if job is None or not hasattr(job, "scripts"):
        return None
    by_path = {os.path.realpath(item.path): name for name, item in job.scripts.items()}
    frames = [os.path.realpath(frame.filename) for frame in traceback.extract_tb(exc.__traceback__)]
    return next((by_path[path] for path in reversed(frames) if path in by_path), None)


def _last_line_within(exc: BaseException, folder: str) -> str:
    """`file:line` of the innermost frame that is the project's own code."""
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        if frame.filename.startswith("<"):
            continue
        path = os.path.realpath(frame.filename)
        if path.startswith(folder + os.sep) and "site-packages" not in path and path != _OWN_FILE:
            return f"({os.path.relpath(path, folder)}:{frame.lineno})"
    return ""


_status: int | None = None
"""Where a twin tells its number and its exit code: it is nobody's child who would ask for them."""


def _make_twin() -> None:
    """Where one is wanted: a second process for a second request, for which nothing is imported again.

    It is made before anything of a project is loaded, so nothing of one request reaches the other.
    """
    global _status  # noqa: PLW0603 - one per process
    wanted = [int(number) for number in os.environ.pop("OPS_TWIN", "").split(",") if number]
    if not wanted:
        return
    is_twin = os.fork() == 0
    for standard, given in enumerate(wanted[:3]):
        if is_twin:
            os.dup2(given, standard)
        os.close(given)
    if is_twin:
        _status = wanted[3]
        os.set_inheritable(_status, False)
        os.write(_status, b"%d\n" % os.getpid())
        with contextlib.suppress(ImportError):
            import psycopg  # noqa: F401 - most often the next that is imported, and there is time
    else:
        os.close(wanted[3])


def _exit(code: int) -> NoReturn:
    """End without a word to threads that env.py left behind, nor to anything else."""
    try:
        if _status is not None:
            os.write(_status, b"%d\n" % code)
    finally:
        os._exit(code)  # whoever listened may have died


def _end_with_parent(stdin: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(stdin, 4096):
            pass
    _exit(70)  # not sys.exit: the point is to stop in the middle, so that the server rolls back


def _read_request(stdin: int) -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        block = os.read(stdin, 1)  # byte by byte: the rest of the pipe belongs to the watcher
        if not block:
            _exit(70)
        line += block
    # An engine may hand the body of its own attach request (`{}`) to stdin before our line, Docker 20.10 does at times.
    # May go once `ops/adapters/docker/two_way.py` attaches without a body.
    request: dict[str, Any] = json.loads(line[line.index(b'{"marker"') :])
    return request


def main() -> NoReturn:
    """Answer one request and end."""
    _make_twin()
    stdin, stdout = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    request = _read_request(stdin)
    threading.Thread(target=_end_with_parent, args=(stdin,), daemon=True).start()

    def reply(name: str, **fields: object) -> None:
        line = request["marker"] + json.dumps({"event": name, **fields}, default=str) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(stdout, data) :]

    def give_up(kind: str, why: str) -> None:
        try:
            reply("error", kind=kind, text=why)
        finally:
            _exit(1)

    if request["command"] in {"upgrade", "downgrade"} and request.get("silence_s"):
        watch = (make_url(request["url"]), request["silence_s"], lambda why: give_up("silent", why))
        threading.Thread(target=_watch, args=watch, daemon=True).start()
    if request.get("deadline_s"):
        timer = threading.Timer(
            request["deadline_s"], give_up, ["deadline", f"no answer after {request['deadline_s']} s"]
        )
        timer.daemon = True
        timer.start()
    job: Job | None = None
    code = 0
    try:
        job = Job(request, reply)
        reply("done", **COMMANDS[request["command"]](job))
    except KeyboardInterrupt:
        code = 130
    except BaseException as exc:  # noqa: BLE001 - env.py may even call sys.exit; the parent must hear of it
        traceback.print_exc()
        code = 1
        reply("error", **{"command": request["command"], **explain(exc, job)})
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    _exit(code)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - a twin has nobody else who would tell how it ended
        traceback.print_exc()
        _exit(1)
