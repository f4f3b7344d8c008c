"""Does a service answer, right now, the way its users will ask it?

The database: a connection over TCP as the real user to the real database. The application: HTTP GET of its health
path. `is_final` marks an answer that waiting does not change (a wrong password, a missing database).
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass

import psycopg

from ops.adapters.postgres.login import is_absent, is_wrong_password
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


def ask_database(endpoint: PostgresEndpoint) -> Answer:
    """Connect and ask for 1."""
    try:
        with psycopg.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.password.reveal(),
            dbname=endpoint.database,
            connect_timeout=_TIMEOUT_S,
            application_name="ops:health",
        ) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as exc:
        text = " ".join(str(exc).split())
        return Answer(is_good=False, text=text[:_SHOWN], is_final=is_wrong_password(text) or is_absent(text))
    return Answer(is_good=True, text=f"{endpoint} answers")


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
