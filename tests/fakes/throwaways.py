"""Throwaway servers in memory; `running` counts those that were not given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ops.errors import OpsError
from ops.model.database import ServerOffers
from ops.model.manifest import Manifest
from ops.ports import Reporter
from tests.fakes.database import FakeDatabase

ALL = ServerOffers("postgresql", "17.11", 17, frozenset({"plpgsql"}), frozenset({"none", "gzip", "zstd"}))


class Throwaway(FakeDatabase):
    """An empty server that can take everything."""

    offered = ALL

    def offers(self) -> ServerOffers:
        return self.offered


class FakeThrowaways:
    """`make` builds each server; `left` is what killed drills left; `log` says what happened in which order."""

    def __init__(self, make: Callable[[], FakeDatabase] = Throwaway, *, left: tuple[str, ...] = ()) -> None:
        self._make = make
        self._left = left
        self.running = 0
        self.log: list[str] = []
        self.error: OpsError | None = None

    @contextmanager
    def server(self, manifest: Manifest, report: Reporter) -> Iterator[FakeDatabase]:
        if self.error is not None:
            raise self.error
        self.running += 1
        self.log.append(f"server for {manifest.id}")
        try:
            yield self._make()
        finally:
            self.running -= 1

    def clean(self) -> tuple[str, ...]:
        found, self._left = self._left, ()
        self.log.append("clean")
        return found
