"""Do bytes reach a reader through a FIFO, and does nobody wait for ever where one side is gone?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.adapters.fed_fifo import fed_fifo
from ops.errors import ArchiveCorrupt, LoadFailed


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "feed a FIFO"]


def test_what_is_fed_is_what_is_read_and_the_folder_goes() -> None:
    content = [b"a" * 100_000, b"", b"b" * 300_000]

    with fed_fifo(iter(content)) as path:
        assert Path(path).is_fifo()
        assert Path(path).stat().st_mode & 0o777 == 0o600
        assert Path(path).read_bytes() == b"".join(content)

    assert not Path(path).parent.exists()
    assert feeders() == []


def test_a_stream_that_breaks_off_outweighs_what_its_reader_made_of_it() -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise ArchiveCorrupt("the archive is cut short")

    def reader_that_is_content() -> None:
        with fed_fifo(broken()) as path:
            Path(path).read_bytes()

    def reader_that_complains() -> None:
        with fed_fifo(broken()) as path:
            Path(path).read_bytes()
            raise LoadFailed("unexpected end of file")

    for read in (reader_that_is_content, reader_that_complains):
        with pytest.raises(ArchiveCorrupt, match="cut short"):
            read()
    assert feeders() == []


def test_a_reader_that_never_comes_or_stops_early_is_not_waited_for() -> None:
    for _ in range(50):
        with fed_fifo(iter([b"x" * 1_000_000])):
            pass
    with fed_fifo(iter([b"x" * 1_000_000] * 20)) as path, Path(path).open("rb") as file:
        assert file.read(10) == b"x" * 10

    assert feeders() == []
