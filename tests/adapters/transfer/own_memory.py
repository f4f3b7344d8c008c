"""How much memory did this process fill at most?"""

from __future__ import annotations

import re
from pathlib import Path


def own_peak_mb() -> int:
    """The peak without the pages of library files: those are the kernel's to drop, shared by all that use them.

    How many of them it maps at once depends on how the file came into its cache: 33 MB or 64 MB of pyarrow's.
    """
    status = Path("/proc/self/status").read_text()
    (peak_kb,), (file_kb,) = (re.findall(rf"{name}:\s+(\d+) kB", status) for name in ("VmHWM", "RssFile"))
    return (int(peak_kb) - int(file_kb)) >> 10
