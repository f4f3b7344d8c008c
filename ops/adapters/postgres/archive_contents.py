"""What is in a foreign custom, directory or tar archive, and does it decode to its end?"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from ops.adapters.archive_probe import plain_blocks
from ops.errors import ArchiveCorrupt, ArchiveUnwritable
from ops.model.database import Inspection
from ops.ports import LoadSource, ToolRunner

_ENTRY = re.compile(r"^\d+; \d+ \d+ (?P<kind>[A-Z][A-Z ]*?) (?P<rest>.*)$")
_SERVER = re.compile(r"^;\s+Dumped from database version: (\d+(?:\.\d+)?)", re.MULTILINE)
_UNPACK = 'umask 077 && mkdir "$1.d" && tar -xf "$1" -C "$1.d"'
_PROGRAMS = ("FUNCTION", "PROCEDURE", "TRIGGER", "AGGREGATE", "RULE")


@contextmanager
def placed_archive(tools: ToolRunner, source: LoadSource) -> Iterator[str]:
    """The archive where the programs can read it, without a compression around the whole file.

    Raises: ArchiveCorrupt, ArchiveUnwritable, EngineUnreachable.
    """
    if source.stream is not None:
        with tools.place_stream(source.stream(), source.stream_bytes) as placed:
            yield placed
    elif source.format == "directory":
        with _placed_folder(tools, source.path) as placed:
            yield placed
    elif source.compression == "none":
        with tools.place(source.path) as placed:
            yield placed
    else:
        with private_file(plain_blocks(source.path, source.compression)) as path, tools.place(path) as placed:
            yield placed


@contextmanager
def _placed_folder(tools: ToolRunner, folder: Path) -> Iterator[str]:
    """A directory archive goes over as one tar file: what is placed is a file."""
    with private_file(iter(())) as path:
        with tarfile.open(path, "w") as tar:
            for file in sorted(folder.iterdir()):
                if file.is_file() and not file.is_symlink():
                    tar.add(file, file.name, recursive=False)
        with tools.place(path) as placed:
            _run(tools, ["sh", "-c", _UNPACK, "ops-unpack", placed], folder)
            try:
                yield f"{placed}.d"
            finally:
                _run(tools, ["rm", "-rf", f"{placed}.d"], folder)


def _run(tools: ToolRunner, argv: list[str], folder: Path) -> None:
    result = tools.run(argv)
    if result.exit_code:
        raise ArchiveUnwritable(f"{folder.name} could not be unpacked there", cause=" ".join(result.stderr.split()))


@contextmanager
def private_file(blocks: Iterator[bytes]) -> Iterator[Path]:
    """A file of these bytes that nobody else can read, gone at the end. Raises: ArchiveUnwritable."""
    with tempfile.TemporaryDirectory(prefix="ops-load-") as folder:
        path = Path(folder) / "archive"
        try:
            with path.open("xb") as file:
                for block in blocks:
                    file.write(block)
        except OSError as exc:
            raise ArchiveUnwritable(
                f"{path} cannot be written", cause=exc.strerror, hint="set TMPDIR to a folder with more room"
            ) from exc
        yield path


def contents(tools: ToolRunner, placed: str, name: str) -> str:
    """`pg_restore --list` of an archive. Raises: ArchiveCorrupt."""
    listed = bytearray()
    result = tools.run(["pg_restore", "--list", placed], on_stdout=listed.extend)
    if result.exit_code:
        raise ArchiveCorrupt(f"{name} has no readable contents", cause=" ".join(result.stderr.split()))
    return listed.decode(errors="replace")


def inspect_archive(tools: ToolRunner, source: LoadSource) -> Inspection:
    """Decode an archive to its end and say what it wants. Raises: ArchiveCorrupt."""
    if source.format == "tar":
        _refuse_cut_tar(source)
    with placed_archive(tools, source) as placed:
        listing = contents(tools, placed, source.path.name)
        result = tools.run(["pg_restore", "--file=/dev/null", placed])
    if result.exit_code:
        raise ArchiveCorrupt(
            f"{source.path.name} does not decode", cause=" ".join(result.stderr.strip().splitlines()[-3:])
        )
    entries = [found for line in listing.splitlines() if (found := _ENTRY.match(line))]
    programs = sum(found["kind"] in _PROGRAMS for found in entries)
    version = _SERVER.search(listing)
    return Inspection(
        plain_size_bytes=_size(source.path),
        warnings=trust_warning(programs),
        extensions=tuple(sorted({_second(found["rest"]) for found in entries if found["kind"] == "EXTENSION"})),
        server_version=version.group(1) if version else "",
    )


def _refuse_cut_tar(source: LoadSource) -> None:
    """Find what pg_restore does not mind: a tar archive without its end, where pg_dump puts restore.sql."""
    stream = _Stream(plain_blocks(source.path, source.compression))
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:
            members = tar.getmembers()
    except (tarfile.TarError, EOFError) as exc:
        raise ArchiveCorrupt(f"{source.path.name} does not decode", cause=str(exc)) from exc
    size_bytes = stream.read_to_end()
    is_whole = all(member.offset_data + member.size <= size_bytes for member in members)
    if not is_whole or "restore.sql" not in {member.name for member in members}:
        raise ArchiveCorrupt(f"{source.path.name} is cut short", cause="it ends before its last member, restore.sql")


class _Stream:
    """Blocks as a file that is read forward only."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""
        self._given_bytes = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        while len(self._rest) < size and (block := next(self._blocks, b"")):
            self._rest += block
        given, self._rest = self._rest[:size], self._rest[size:]
        self._given_bytes += len(given)
        return given

    def read_to_end(self) -> int:
        """Drop what is left; returns how many bytes there were in all."""
        return self._given_bytes + len(self._rest) + sum(len(block) for block in self._blocks)


def trust_warning(programs: int) -> tuple[str, ...]:
    """What to say of a foreign file that brings program code along; nothing where there is none."""
    if not programs:
        return ()
    warning = (
        f"{programs} functions, rules or triggers of this file will run with the rights of the database's owner once"
        " it is live: restore it only if you trust where it comes from"
    )
    return (warning,)


def _second(rest: str) -> str:
    """Of `- pg_trgm ` the name."""
    words = rest.split()
    return words[1] if len(words) > 1 else rest.strip()


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
