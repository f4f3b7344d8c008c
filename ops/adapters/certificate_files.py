"""Which certificate files does a project's proxy use, and what do they say?"""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path

from ops.model.certificate import CertificateFile, read_certificates


def certificate_files(root: Path, names: Sequence[str]) -> tuple[CertificateFile, ...]:
    """Read every file that the names and patterns give, in their order.

    Args:
        root: the project's folder.
        names: names or glob patterns, absolute or relative to that folder. A pattern that matches nothing is nothing;
            a name without a file is a problem, and so is a file that cannot be read.
    """
    found: dict[str, CertificateFile] = {}
    for name in names:
        is_pattern = any(mark in name for mark in "*?[")
        for one in sorted(glob(name, root_dir=root, recursive=True)) if is_pattern else [name]:  # noqa: PTH207 - absolute too
            found.setdefault(one, _read(root / one, one))
    return tuple(found.values())


def _read(path: Path, name: str) -> CertificateFile:
    try:
        return read_certificates(name, path.read_bytes())
    except FileNotFoundError:
        return CertificateFile(name, problem="it is not there")
    except OSError as exc:
        return CertificateFile(name, problem=f"it cannot be read: {exc.strerror}")
