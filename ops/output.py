"""How are results, progress and failures shown?

stdout is the result: a table or, with `--json`, one document. stderr is progress, notes and errors.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from ops.errors import Degraded, OpsError
from ops.log import Log
from ops.model.commands import addressed
from ops.model.in_words import in_words
from ops.model.secret import Secret
from ops.model.size import human_size

_AS_THEY_ARE = {str, int, bool, type(None)}
"""Most values of a long list are of these types: to ask for them first makes listing 10,000 backups twice as fast."""
_LONG_LIST = 200
"""From so many items on a list is written with one item a line: Python indents by itself, and slowly."""
PROGRESS_EVERY_S = 0.1
PROGRESS_LINE_EVERY_S = 5.0
TOLD_FROM = 0.02
"""From this share on a time left is told; earlier it would be a guess."""
BAR_WIDTH = 20


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value reads best
    """Turn values of the model into what JSON knows; secrets become `***`, times ISO 8601 with their zone."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat()[:-6] + "Z"
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, (dict, Mapping)):
        return {str(key): item if type(item) in _AS_THEY_ARE else plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Secret):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return str(value)
    return value


def json_text(document: Any, *, is_ascii: bool = False) -> str:
    """A value as JSON: indented, and a long list, or one within an object, with one item a line.

    Rows of a long list go to the encoder as they are, which asks `plain` only for what JSON does not know; so a float
    right in such a row is rounded by who makes the row.
    """
    if _is_long(document):
        encode = json.JSONEncoder(ensure_ascii=is_ascii, default=plain).encode
        return "[\n" + ",\n".join(map(encode, document)) + "\n]"
    if isinstance(document, dict) and any(map(_is_long, document.values())):
        parts = [f"{json.dumps(key)}: {json_text(value, is_ascii=is_ascii)}" for key, value in document.items()]
        return "{\n" + ",\n".join(parts) + "\n}"
    return json.dumps(plain(document), indent=2, ensure_ascii=is_ascii)


def _is_long(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) >= _LONG_LIST


def table(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> str:
    """Align rows under headings in plain columns; numbers to the right, one line for each row whatever is in it."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(headings)
    aligned = [_aligned(heading.upper(), column) for heading, column in zip(headings, columns, strict=True)]
    return "\n".join(["  ".join(line).rstrip() for line in zip(*aligned, strict=True)])


def _aligned(heading: str, column: Sequence[object]) -> list[str]:
    """One column of a table, each cell as wide as the widest."""
    cells = [heading, *(text if (text := str(cell)).isprintable() else printable(text) for cell in column)]
    width = max(map(len, cells))
    if column and all(isinstance(cell, (int, float)) for cell in column):
        return [cell.rjust(width) for cell in cells]
    return [cell.ljust(width) for cell in cells]


class _Result:
    """Whether the task that runs now has written its one document to stdout, and which stack it is about."""

    is_written = False
    is_production = False
    is_by_url = False


_RESULT = _Result()


def begin_result() -> None:
    """A task begins: nothing is written yet."""
    _RESULT.is_written = _RESULT.is_production = _RESULT.is_by_url = False


def address_commands(*, is_production: bool, is_by_url: bool) -> None:
    """From now on the commands that we name are completed, so that they act on the stack of this run."""
    _RESULT.is_production, _RESULT.is_by_url = is_production, is_by_url


def with_commands(text: str) -> str:
    """A text that names commands of ours, so that they act on the stack of this run."""
    return addressed(text, is_production=_RESULT.is_production, is_by_url=_RESULT.is_by_url)


def printable(text: str) -> str:
    r"""A text with what would move the cursor or colour the terminal written out, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def show(document: Any, *, as_json: bool, text: Callable[[], str], stream: TextIO | None = None) -> None:
    """Write the result to stdout: the document as JSON, or what `text` says.

    Raises: Degraded where stdout cannot take it (a full disk): the work itself is done.
    """
    out = stream or sys.stdout
    close_progress_line(sys.stderr)
    is_plain = (getattr(out, "encoding", None) or "utf-8").lower().replace("-", "") != "utf8"
    said = json_text(document, is_ascii=is_plain) if as_json else text()
    try:
        out.write(said + "\n")
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        sys.stdout = None  # or Python tries it again at its end, and ends with its own exit code
        raise Degraded("what was asked for is done, but stdout cannot take the result", cause=exc.strerror) from exc
    _RESULT.is_written = stream is None


def show_error(error: OpsError, log: Log, *, as_json: bool) -> None:
    """Write `error:`, `cause:` and `hint:` to stderr; with `--json` to stdout too, unless a result is there."""
    close_progress_line(sys.stderr)
    parts = {"message": error.message, "cause": error.shown_cause, "hint": error.shown_hint}
    said = {name: with_commands(text) for name, text in parts.items()}
    for prefix, text in zip(("ops: error: ", "  cause: ", "  hint: "), said.values(), strict=True):
        log.line(prefix + text.replace("\n", "\n    "))
    if as_json and sys.stdout is not None and not _RESULT.is_written:
        masked = {name: log.masked(text) for name, text in said.items()}
        sys.stdout.write(json.dumps({"error": {"exit_code": error.exit_code, **masked}}, indent=2) + "\n")


def close_progress_line(stream: TextIO) -> None:
    """Wipe what a live progress line left on a terminal, before anything else is written there."""
    if stream.isatty():
        stream.write("\r\x1b[K")
        stream.flush()


class ConsoleReporter:
    """The Reporter port on stderr: a live line on a terminal, a line now and then elsewhere."""

    def __init__(self, log: Log, stream: TextIO | None = None) -> None:
        self._log = log
        self._stream = stream or sys.stderr
        self._is_live = self._stream.isatty() and not log.is_json
        self._started: dict[str, float] = {}
        self._shown_at = 0.0
        self._is_line_open = False
        # A long step may be watched from a thread of its own.
        self._turn = threading.RLock()

    def note(self, text: str) -> None:
        """One line a person should see."""
        self._write("note", with_commands(text))

    def warn(self, text: str) -> None:
        """One line a person must see."""
        self._write("warning", with_commands(text))

    def finished(self, event: str, **fields: object) -> None:
        """One log event per finished unit of work."""
        with self._turn:
            self._close_line()
            self._log.event(event, fields, at=datetime.now(UTC))

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None:
        """How far a step is, with rate and time left; throttled. Any thread may call it."""
        with self._turn:
            self._progress(step, done, total, unit)

    def _progress(self, step: str, done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        started = self._started.setdefault(step, now)
        is_done = total is not None and done >= total
        if now - self._shown_at < (PROGRESS_EVERY_S if self._is_live else PROGRESS_LINE_EVERY_S) and not (
            is_done and self._is_line_open
        ):
            return
        if not self._is_live and now - started < PROGRESS_LINE_EVERY_S:
            return
        self._shown_at = now
        line = progress_line(step, done, total, unit, now - started)
        if self._is_live:
            bar = f"{progress_bar(done, total)} " if total else ""
            self._stream.write(f"\r\x1b[K{bar}{line}")
            self._stream.flush()
            self._is_line_open = True
        else:
            self._log.line(line)

    def _write(self, level: str, text: str) -> None:
        with self._turn:
            self._close_line()
            if self._log.is_json:
                self._log.event(level, {"text": text}, at=datetime.now(UTC), level=level)
            else:
                self._log.line(f"ops: {text}" if level == "note" else f"ops: warning: {text}")

    def _close_line(self) -> None:
        if self._is_line_open:
            close_progress_line(self._stream)
            self._is_line_open = False


def progress_bar(done: int, total: int) -> str:
    """How far something is, for a terminal: `[########............]`."""
    full = min(BAR_WIDTH, done * BAR_WIDTH // total)
    return f"[{'#' * full}{'.' * (BAR_WIDTH - full)}]"


def progress_line(step: str, done: int, total: int | None, unit: str, elapsed_s: float) -> str:
    """Say in one line how far a step is, its rate and its time left; small counts have neither."""

    def count(number: float) -> str:
        return human_size(number) if unit == "bytes" else f"{number:,.0f}"

    said = f"{step}: {count(done)}"
    if total:
        said += f" of {count(total)}"
    if unit != "bytes":
        said += f" {unit}"
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    if rate < 1:
        return said
    parts = [f"{said} ({min(100, done * 100 // total)} %)" if total else said, f"{count(rate)}/s"]
    if total and total * TOLD_FROM <= done < total:
        parts.append(f"{in_words((total - done) / rate)} left")
    return ", ".join(parts)
