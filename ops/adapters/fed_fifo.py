"""How do bytes get to a program that wants a file's name, without a file of them?

Through a FIFO in a folder that only we can enter, written by a thread. The reader sees the end of the stream also
where it broke off: what broke it is raised when the context ends, before anything is made of what the reader did.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.adapters.durable_files import write_all
from ops.errors import ArchiveUnwritable

_READER_S = 0.01


@contextmanager
def fed_fifo(blocks: Iterator[bytes]) -> Iterator[str]:
    """Give the path of a FIFO that one reader can read once. Raises: ArchiveUnwritable; what `blocks` raised."""
    with tempfile.TemporaryDirectory(prefix="ops-stream-") as folder:
        path = Path(folder) / "archive"
        try:
            os.mkfifo(path, 0o600)
        except OSError as exc:
            raise ArchiveUnwritable(f"no FIFO can be made in {folder}", cause=exc.strerror, hint="set TMPDIR") from exc
        feeder = _Feeder(path, blocks)
        feeder.start()
        try:
            yield str(path)
        except Exception:
            feeder.end()
            feeder.raise_trouble()
            raise
        except BaseException:
            feeder.end()
            raise
        feeder.end()
        feeder.raise_trouble()


class _Feeder(threading.Thread):
    """Writes the blocks; a reader that has gone ends it without a complaint, for the reader has one itself."""

    def __init__(self, path: Path, blocks: Iterator[bytes]) -> None:
        super().__init__(name="feed a FIFO", daemon=True)
        self._path = path
        self._blocks = blocks
        self._trouble: BaseException | None = None

    def run(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                for block in self._blocks:
                    write_all(descriptor, block)
            finally:
                os.close(descriptor)
        except BrokenPipeError:
            return
        except BaseException as exc:  # noqa: BLE001 - handed to the thread that asked
            self._trouble = exc
        finally:
            close = getattr(self._blocks, "close", None)
            if close is not None:
                close()

    def end(self) -> None:
        """Wait for the thread; one that waits for a reader, now or in a moment, gets one that goes away again."""
        while self.is_alive():
            reader = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self.join(_READER_S)
            os.close(reader)

    def raise_trouble(self) -> None:
        """Raise what broke the stream off, if something did."""
        if self._trouble is not None:
            raise self._trouble
