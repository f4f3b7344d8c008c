"""How do bytes get to a program in a container that wants a file's name, without a file of them there?

Through a FIFO in the container's /tmp: one exec makes it, a second one copies its input into it while the program
reads, and a third removes it. Where our stream breaks off the program sees its end early, and we raise why.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

from ops.adapters.docker import execute
from ops.adapters.docker.client import Connection
from ops.adapters.docker.placing import EXACTLY
from ops.errors import ArchiveUnwritable, DeadlinePassed, EngineUnreachable, UnknownService

# In a folder of its own: a feeder that comes too late finds the folder gone, and makes no file where the FIFO was.
_MAKE = 'umask 077 && mkdir "$1" && mkfifo "$1/archive"'
_FEED = f'{EXACTLY}\nexec 2>/dev/null; take "$2" >"$1/archive"'
# A feeder that still waits for its reader gets one, and goes with it.
_REMOVE = 'if [ -p "$1/archive" ]; then exec 3<>"$1/archive"; fi; rm -rf "$1"'


@contextmanager
def stream(
    connection: Connection,
    container: str,
    blocks: Iterator[bytes],
    size_bytes: int,
    *,
    name: str,
    where: str,
    silence_s: float,
) -> Iterator[str]:
    """Give the path of a FIFO in a container that one program can read once.

    Args:
        connection: the engine.
        container: the container's id.
        blocks: what goes through it.
        size_bytes: how much that is.
        name: the name of the FIFO's folder.
        where: the service, in error messages.
        silence_s: for how long the container may be paused.

    Raises: ArchiveUnwritable, EngineUnreachable, DeadlinePassed, and what `blocks` raised.
    """
    inside = f"/tmp/{name}"  # noqa: S108 - in a container it exists
    said = io.BytesIO()
    make = ["sh", "-c", _MAKE, "ops-place", inside]
    doing = f"make a FIFO in {where}"
    if execute.run(connection, container, make, doing=doing, stderr=said, silence_s=silence_s) != 0:
        raise ArchiveUnwritable(
            f"no FIFO can be made in the container of {where}", cause=said.getvalue().decode(errors="replace").strip()
        )
    feed = ["sh", "-c", _FEED, "ops-place", inside, str(size_bytes)]
    feeder = _Feeder(connection, container, blocks, feed, silence_s)
    feeder.start()

    def remove() -> None:
        argv, doing = ["sh", "-c", _REMOVE, "ops-place", inside], f"remove {inside} in {where}"
        execute.run(connection, container, argv, doing=doing, silence_s=silence_s)

    try:
        yield f"{inside}/archive"
    except BaseException as exc:
        with suppress(EngineUnreachable, UnknownService, DeadlinePassed):  # the reaper finds what is left there
            remove()
        if isinstance(exc, Exception):
            feeder.join()
            feeder.raise_trouble()
        raise
    remove()
    feeder.join()
    feeder.raise_trouble()


class _Feeder(threading.Thread):
    """Runs the exec that fills the FIFO."""

    def __init__(
        self, connection: Connection, container: str, blocks: Iterator[bytes], argv: list[str], silence_s: float
    ) -> None:
        super().__init__(name="feed a FIFO", daemon=True)
        self._connection, self._container, self._argv = connection, container, argv
        self._blocks, self._silence_s = blocks, silence_s
        self._trouble: BaseException | None = None

    def run(self) -> None:
        source = cast("IO[bytes]", _Blocks(self._blocks))
        try:
            execute.run(
                self._connection,
                self._container,
                self._argv,
                doing="feed a program",
                stdin=source,
                silence_s=self._silence_s,
            )
        except BaseException as exc:  # noqa: BLE001 - handed to the thread that asked
            self._trouble = exc

    def raise_trouble(self) -> None:
        """Raise what broke the stream off, if something did."""
        if self._trouble is not None:
            raise self._trouble


class _Blocks:
    """Blocks as a file that is read forward only."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self, _size: int = -1) -> bytes:
        """The next block, of whatever size; empty at the end."""
        return next((block for block in self._blocks if block), b"")
