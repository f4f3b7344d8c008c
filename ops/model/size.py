"""How is a size in bytes written for people?"""

from __future__ import annotations


def human_size(size_bytes: float) -> str:
    """A size as people read it: `14.2 MB`, powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size_bytes) < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
