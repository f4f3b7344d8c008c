"""What do all tasks share?

`ops_task` turns a function into an Invoke task whose failures end as `ops: error:` with their exit code, whose signals
unwind cleanly, and whose `--dry-run` also follows Invoke's own `--dry`. Nothing heavy is imported until a task runs.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from invoke.exceptions import Exit
from invoke.tasks import task

from ops.cli.number_argument import OpsTask

if TYPE_CHECKING:
    from invoke.context import Context

COMMON_HELP = {
    "prod": "the production stack: its own compose file, project, volumes, backups (or OPS_ENV=production)",
    "json": "print the result as one JSON document",
    "dry_run": "print the plan and change nothing (Invoke's own --dry does the same)",
    "yes": "answer yes to the question that is asked before something is destroyed",
    "lock_wait": "seconds to wait while another change runs on this stack (default 0: exit 11 at once)",
}


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; raised so that every `finally` runs before we go."""


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def ops_task(*, help: dict[str, str] | None = None, **options: Any) -> Callable[[Callable[..., None]], Any]:
    """Make a task of a function `(c, *, named arguments)`.

    Args:
        help: a sentence for each argument that is not one of the common ones.
        options: passed on to Invoke's `task`; short flags are off where they are not asked for, for `-f` would be
            any of several arguments.
    """

    def make(body: Callable[..., None]) -> Any:
        @functools.wraps(body)
        def run(c: Context, **arguments: Any) -> None:
            if "dry_run" in arguments and c.config.run.dry:
                arguments["dry_run"] = True
            _run_guarded(body, c, arguments)

        names = list(inspect.signature(body).parameters)[1:]
        texts = {**COMMON_HELP, **(help or {})}
        shown = {name.strip("_").replace("_", "-"): texts[name.strip("_")] for name in names}
        return task(run, help=shown, **{"auto_shortflags": False, "klass": OpsTask, **options})

    return make


def _run_guarded(body: Callable[..., None], c: Context, arguments: dict[str, Any]) -> None:
    from ops.errors import OpsError
    from ops.output import begin_result

    begin_result()
    _open_streams()
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _terminate) for number in heard}
    try:
        body(c, **arguments)
    except Exit:
        raise
    except OpsError as error:
        _show(error, as_json=bool(arguments.get("json")))
        raise Exit(code=error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("ops: interrupted: what was begun was undone or is cleaned by the next run\n")
        raise Exit(code=130) from None
    except Terminated:
        sys.stderr.write("ops: terminated: what was begun was undone or is cleaned by the next run\n")
        raise Exit(code=143) from None
    except BrokenPipeError:
        sys.stdout = None
        raise Exit(code=141) from None
    except Exception:
        sys.stderr.write("ops: this is a bug of ours, not of yours: report it with the lines below (CONTRIBUTING.md)\n")
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _open_streams() -> None:
    """A stream that is closed swallows what it is told; a character that it cannot write is written out."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the process's life
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the process's life
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show(error: Any, *, as_json: bool) -> None:
    from ops.output import show_error
    from ops.wiring.masked_log import open_error_log

    show_error(error, open_error_log(), as_json=as_json)
