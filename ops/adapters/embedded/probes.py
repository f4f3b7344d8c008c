"""Does a service answer, right now, the way its users will ask it?

The database: a connection over TCP as the real user to the real database. The application: HTTP GET of its health
path. `is_final` marks an answer that waiting does not change (a wrong password, a missing database).
"""

from __future__ import annotations

import http.client
import os
import subprocess
from dataclasses import dataclass

from ops.adapters.postgres.refusals import is_absent, is_wrong_password
from ops.model.endpoint import PostgresEndpoint
from ops.model.engine import Probe

_TIMEOUT_S = 3
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What one probe found."""

    is_good: bool
    text: str
    is_final: bool = False

    @property
    def probe(self) -> Probe:
        """As the engine port shows it."""
        return Probe(0 if self.is_good else 1, self.text)


def ask_database(psql: str, endpoint: PostgresEndpoint) -> Answer:
    """Log in and ask for 1, as the compose file's own health check does.

    With the server's psql rather than a driver: importing one takes longer than all the rest of `inv ps`.
    """
    try:
        asked = subprocess.run(
            [psql, "-XAtqw", "-c", "SELECT 1"],
            env={
                "PATH": os.defpath,
                "LC_ALL": "C",
                "PGHOST": endpoint.host,
                "PGPORT": str(endpoint.port),
                "PGUSER": endpoint.user,
                "PGPASSWORD": endpoint.password.reveal(),
                "PGDATABASE": endpoint.database,
                "PGCONNECT_TIMEOUT": str(_TIMEOUT_S),
                "PGAPPNAME": "ops:health",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * _TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(is_good=False, text=f"{endpoint} did not answer within {2 * _TIMEOUT_S} s")
    except OSError as exc:
        return Answer(is_good=False, text=f"{psql} cannot be run: {exc}")
    if asked.returncode == 0:
        return Answer(is_good=True, text=f"{endpoint} answers")
    text = " ".join(asked.stderr.decode(errors="replace").removeprefix("psql: error: ").split())
    return Answer(is_good=False, text=text[:_SHOWN], is_final=is_wrong_password(text) or is_absent(text))


def ask_application(port: int, path: str) -> Answer:
    """GET the health path on loopback; 2xx and 3xx are good."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    name = f"GET http://127.0.0.1:{port}{path}"
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_SHOWN).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as exc:
        return Answer(is_good=False, text=f"{name}: {type(exc).__name__}: {exc}"[:_SHOWN])
    finally:
        connection.close()
    return Answer(is_good=200 <= response.status < 400, text=f"{name}: {response.status} {body}"[:_SHOWN])
