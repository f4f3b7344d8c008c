"""How is the database server started: with which settings, on which port?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.adapters.embedded.programs import Programs
from ops.adapters.embedded.server_user import ServerUser
from ops.adapters.embedded.service_process import Launch

_OURS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "[%p] ",
}
"""Settings that a compose file may not change here: nothing but loopback, and the log goes to the keeper."""
_PLACES = frozenset({"port", "data_directory", "config_file", "hba_file", "ident_file", "external_pid_file", "ssl"})
_STOP_GRACE_S = 60.0
"""Fast shutdown writes a checkpoint; ending a server harder than that costs a recovery at its next start."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def settings_of(command: Sequence[str] | None) -> dict[str, str]:
    """The `-c name=value` and `--name=value` settings of a compose `command` such as `postgres -c work_mem=8MB`."""
    return dict(_settings(list(command or ())))


def _settings(words: list[str]) -> Iterator[tuple[str, str]]:
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith(("-c", "--")):
            word = word[2:]
        else:
            continue
        name, separator, value = word.partition("=")
        if separator:
            yield name.replace("-", "_").lower(), value


def usable_settings(programs: Programs, wanted: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Divide settings into those the server here knows and may be given, and the names of the others."""
    if not wanted:
        return {}, ()
    told = subprocess.run(
        [programs.path("postgres"), "--describe-config"], capture_output=True, text=True, check=True, cwd="/"
    )
    known = {line.partition("\t")[0].lower() for line in told.stdout.splitlines()}
    good = {
        name: value
        for name, value in wanted.items()
        if _NAME.fullmatch(name) and name in known and name not in _OURS and name not in _PLACES
    }
    return good, tuple(name for name in wanted if name not in good)


def server_launch(
    programs: Programs,
    user: ServerUser,
    volume: Path,
    *,
    port: int,
    settings: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Launch:
    """What a keeper starts for a server."""
    given = {**settings, **_OURS, "port": str(port)}
    return Launch(
        argv=(
            *user.command(death_signal=signal.SIGINT),
            programs.path("postgres"),
            "-D",
            str(volume / "data"),
            *(word for name, value in given.items() for word in ("-c", f"{name}={value}")),
        ),
        environment={"PATH": f"{programs.folder}:{os.defpath}", "LC_ALL": "C", "HOME": "/"},
        cwd="/",
        facts=facts,
        stop_signal=signal.SIGINT,
        last_signal=signal.SIGQUIT,
        grace_s=_STOP_GRACE_S,
    )
