"""The command line of this repository: `inv --list` is the first page of the manual."""

from ops.cli import namespace

__all__ = ["namespace"]
