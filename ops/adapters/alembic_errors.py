"""What does a failure of Alembic mean to a person?

The program of `alembic_program.py` names the kind of each; what it does not know is what Alembic said, as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ops.adapters.stalled import STALLED_HINT
from ops.errors import (
    ConfigurationError,
    DatabaseRefused,
    DeadlinePassed,
    EngineUnreachable,
    Irreversible,
    OpsError,
    RevisionConflict,
    UpgradeFailed,
)
from ops.model.endpoint import Endpoint


def translate(error: Mapping[str, Any], endpoint: Endpoint) -> OpsError:
    """The error that a person can act on, for one `error` reply of the program."""
    kind, text = str(error["kind"]), _first_lines(str(error["text"]))
    make = _TRANSLATIONS.get(kind)
    if make is not None:
        return make(text, error, endpoint)
    return ConfigurationError("alembic refused", cause=text, hint="inv history")


def _first_lines(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines()[:4] if line.strip())


def _connect(text: str, _error: Mapping[str, Any], endpoint: Endpoint) -> OpsError:
    refusals = ("password", "FATAL", "does not exist", "permission", "unable to open")
    if any(word in text for word in refusals):
        return DatabaseRefused(f"{endpoint} refused alembic", cause=text, hint="inv config")
    return EngineUnreachable(f"alembic cannot reach {endpoint}", cause=text, hint="inv up")


def _env(text: str, error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return ConfigurationError(
        f"alembic's env.py failed {error.get('where') or ''}".strip(), cause=text, hint="alembic current"
    )


def _missing(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return ConfigurationError(text, hint="alembic init alembic, or name the file as alembic-config in [tool.ops]")


def _wrong_database(text: str, _error: Mapping[str, Any], endpoint: Endpoint) -> OpsError:
    return ConfigurationError(
        f"alembic's env.py does not connect to {endpoint}; nothing was done",
        cause=text,
        hint="let env.py use config.get_main_option('sqlalchemy.url') or os.environ['DATABASE_URL']",
    )


def _history_conflict(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return RevisionConflict("the schema history cannot be read", cause=text, hint="alembic history --verbose")


def _conflict(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return RevisionConflict("scripts and database do not agree", cause=text, hint="inv history")


def _two_heads(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return RevisionConflict("the schema history has several heads", cause=text, hint="alembic merge -m 'merge' heads")


def _no_models(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return ConfigurationError(
        "env.py names no models to compare the database with",
        cause=text,
        hint="inv revision --empty --message '...', or set target_metadata in env.py",
    )


def _not_at_head(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return RevisionConflict("the database is not at the head revision", cause=text, hint="inv migrate")


def _revision(text: str, error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    sqlstate = f" [SQLSTATE {error['sqlstate']}]" if error.get("sqlstate") else ""
    statement = f", at: {error['statement']}" if error.get("statement") else ""
    where = f" {error['where']}" if error.get("where") else ""
    what = "downgrade of revision" if error.get("command") == "downgrade" else "revision"
    return UpgradeFailed(
        f"{what} {error.get('revision') or 'unknown'} failed{where}", cause=f"{text}{sqlstate}{statement}"
    )


def _irreversible(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return Irreversible(text, hint="inv rollback")


def _not_recorded(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return UpgradeFailed(
        text,
        cause="env.py ended without a commit, most often because it ran a statement before context.configure",
        hint="alembic current",
    )


def _deadline(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return DeadlinePassed(f"alembic gave {text}", cause="env.py hangs or waits for something", hint="alembic current")


def _silent(text: str, _error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    return UpgradeFailed("alembic stalled and was ended", cause=text, hint=STALLED_HINT)


def _lock_timeout(text: str, error: Mapping[str, Any], _endpoint: Endpoint) -> OpsError:
    blockers = "; ".join(error.get("blockers") or ())
    again = "rollback" if error.get("command") == "downgrade" else "migrate"
    return DeadlinePassed(
        f"revision {error.get('revision') or 'unknown'} waited too long for a lock",
        cause=f"{text}; {blockers}" if blockers else text,
        hint=f"end the transaction that holds the lock, then inv {again}",
    )


_TRANSLATIONS: dict[str, Callable[[str, Mapping[str, Any], Endpoint], OpsError]] = {
    "connect": _connect,
    "env": _env,
    "missing_script": _missing,
    "wrong_database": _wrong_database,
    "broken_history": _history_conflict,
    "unknown_revision": _conflict,
    "two_heads": _two_heads,
    "not_at_head": _not_at_head,
    "no_models": _no_models,
    "revision": _revision,
    "statement_timeout": _revision,
    "irreversible": _irreversible,
    "not_recorded": _not_recorded,
    "lock_timeout": _lock_timeout,
    "deadline": _deadline,
    "silent": _silent,
}
