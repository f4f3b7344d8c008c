"""Did all that a program wrote arrive, and what were its last words?

The wrapper writes a marker behind the program's stdout. It is held back from whoever takes the output; an output that
does not end with it was cut.
"""

from __future__ import annotations

from collections.abc import Callable

from ops.adapters.docker.frames import STDERR, STDOUT, SYSTEM_ERROR
from ops.errors import EngineUnreachable

_STDERR_BYTES = 64 * 1024

MARKED = """\
if stdbuf --output=256K true 2>/dev/null; then set -- stdbuf --output=256K "$@"; fi
"$@"
code=$?
printf %s "$0"
exit $code
"""
"""`sh -c MARKED marker program arguments`: runs the program, writes the marker, ends with the program's code.

The C library would write a pipe in pieces of 4 KiB, and the engine works for each piece on its way to us.
"""


class ToolOutput:
    """Takes a program's blocks, passes stdout on without the marker, keeps the end of stderr."""

    def __init__(self, marker: bytes, on_stdout: Callable[[bytes], None] | None) -> None:
        self._marker = marker
        self._on_stdout = on_stdout
        self._held = b""
        self._errors = b""

    def take(self, stream: int, block: bytes) -> None:
        """One block of a stream, in order. Raises what `on_stdout` raises."""
        if stream == STDOUT:
            self._take_stdout(block)
        elif stream == STDERR:
            self._errors = (self._errors + block)[-_STDERR_BYTES:]
        elif stream == SYSTEM_ERROR:
            raise EngineUnreachable("the engine broke the stream off", cause=block.decode(errors="replace"))

    def _take_stdout(self, block: bytes) -> None:
        arrived = self._held + block if self._held else block
        self._held = self._possible_marker(arrived[-len(self._marker) :])
        whole = arrived[: len(arrived) - len(self._held)]
        if whole and self._on_stdout is not None:
            self._on_stdout(whole)

    def _possible_marker(self, tail: bytes) -> bytes:
        """The longest end of the output that may be the marker's beginning."""
        return next((tail[i:] for i in range(len(tail)) if self._marker.startswith(tail[i:])), b"")

    def refuse_a_cut(self, doing: str) -> None:
        """Raise EngineUnreachable, where the output did not end with the marker."""
        if self._held != self._marker:
            raise EngineUnreachable(
                f"the engine's stream was cut: cannot {doing}",
                cause=self.errors().strip() or "the connection ended before the program did",
                hint="docker info",
            )

    def errors(self) -> str:
        """The end of what the program wrote to stderr."""
        return self._errors.decode(errors="replace")
