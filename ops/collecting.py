"""When does Python not look for cycles?

While a catalog is read and shown: millions of new values, no cycle among them, and looking costs a quarter of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no cycles inside the context; within itself it does nothing more.

    Around a function it is best: what the function made is gone by reference before anybody looks again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
