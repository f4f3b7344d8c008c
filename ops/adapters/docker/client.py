"""Which engine do we speak to, in which version of its API, and how long do we wait for an answer?

The engine is found as the `docker` command finds it (DOCKER_HOST, else the current context). We speak the server's own
API version up to the newest one that we know; docker-py would follow the server anywhere. requests sessions are not
safe between threads (docker-py #3229), so each thread has clients of its own.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

import docker
from docker.context import ContextAPI

from ops.adapters.docker.errors import translated
from ops.errors import EngineUnreachable

OLDEST_API = "1.41"
NEWEST_API = "1.44"
"""1.41 is Docker 20.10; engines from 29 on refuse what is below 1.44."""

QUICK_S = 20
"""For questions: inspect, list."""
SLOW_S = 180
"""For changes: create, start, remove."""
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"


_from_env: Any = docker.DockerClient.from_env
Client = Any
"""A `docker.api.client.APIClient`; `Any`, because its type stubs lack most of the low-level methods."""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def agreed_version(server: str, server_minimum: str) -> str:
    """The API version both sides speak.

    Raises: EngineUnreachable, where the engine is too old or too new for us.
    """
    if _number(server) < _number(OLDEST_API):
        raise EngineUnreachable(
            f"the Docker engine speaks API {server} at most, {OLDEST_API} is needed",
            hint="upgrade to Docker 20.10 or newer",
        )
    if server_minimum and _number(server_minimum) > _number(NEWEST_API):
        raise EngineUnreachable(
            f"the Docker engine speaks API {server_minimum} at least, this version of ops knows {NEWEST_API}",
            hint="upgrade ops",
        )
    return min(server, NEWEST_API, key=_number)


def _versions(client: Client) -> tuple[str, str]:
    """The newest API version that the engine speaks, and the oldest, empty where it does not matter to us.

    `/_ping` costs the engine nothing; `/version` makes it start its helper programs to ask theirs.
    """
    from ops.adapters.docker import raw

    newest = raw.api_version_of(client)
    if newest and _number(newest) <= _number(NEWEST_API):
        return newest, ""
    answer: dict[str, Any] = client.version(api_version=False)
    return answer["ApiVersion"], answer.get("MinAPIVersion", "")


class Connection:
    """Clients of one engine, made when they are first needed.

    Args:
        environment: where DOCKER_HOST, DOCKER_CONTEXT and the TLS settings are read; the process's own by default.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._version: str | None = None
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._all: list[Client] = []

    @property
    def endpoint(self) -> str:
        """The engine's address, without secrets."""
        host = self._environment.get("DOCKER_HOST")
        if host:
            return host
        with translated("read the Docker context"):
            chosen = ContextAPI.kwargs_from_context(environment=self._environment)
        return str(chosen.get("base_url") or DEFAULT_ENDPOINT)

    @property
    def is_local(self) -> bool:
        """Whether the engine shares our file system and ports. A tunnelled Unix socket cannot be told apart."""
        return self.endpoint.startswith(("unix://", "http+unix://", "npipe://"))

    def quick(self) -> Client:
        """For questions that take no time."""
        return self._client(QUICK_S)

    def slow(self) -> Client:
        """For changes."""
        return self._client(SLOW_S)

    def streams(self) -> Client:
        """For streams that may be silent for as long as they like: the caller watches the time."""
        return self._client(None)

    def close(self) -> None:
        """Close all clients of all threads; they are made anew if needed again."""
        with self._lock:
            clients, self._all = self._all, []
            self._mine = threading.local()
        for client in clients:
            client.close()

    def _client(self, timeout_s: int | None) -> Client:
        cache: dict[int | None, Client] = self._mine.__dict__.setdefault("clients", {})
        if timeout_s not in cache:
            cache[timeout_s] = self._make(timeout_s, self._agreed())
            with self._lock:
                self._all.append(cache[timeout_s])
        return cache[timeout_s]

    def _agreed(self) -> str:
        with self._lock:
            if self._version is None:
                self._try_socket()
                client = self._make(QUICK_S, OLDEST_API)
                try:
                    with translated("ask its version"):
                        self._version = agreed_version(*_versions(client))
                finally:
                    client.close()
            return self._version

    def _try_socket(self) -> None:
        """Connect once by ourselves: docker-py 7.2 leaves the socket of a failed connection open."""
        kind, _, path = self.endpoint.partition("unix://")
        if kind in {"", "http+"} and path:
            with translated("connect to it"), socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(QUICK_S)
                probe.connect(path)

    def _make(self, timeout_s: int | None, version: str) -> Client:
        with translated("find the Docker engine"):
            return _from_env(version=version, timeout=timeout_s, environment=self._environment).api
