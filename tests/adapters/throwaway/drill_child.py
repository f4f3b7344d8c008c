"""A drill as a process of its own, which stops once its server runs until it is killed.

Arguments: `local` or `docker`, the folder for drills, the compose file's folder, the manifest as JSON in a file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ops.adapters.compose_files import read_stack
from ops.adapters.docker.client import Connection
from ops.adapters.system_clock import SystemClock
from ops.adapters.throwaway.container import ContainerServers
from ops.adapters.throwaway.local_server import LocalServers
from ops.model.manifest_json import from_json
from tests.fakes.reporter import RecordingReporter


def main(arguments: list[str]) -> None:
    kind, root, compose, file = arguments
    manifest = from_json(Path(file).read_text(), name=file)
    if kind == "docker":
        folder = Path(compose)
        stack = read_stack([folder / "docker-compose.yml"], working_dir=folder, environment={}, env_file=None)
        servers = ContainerServers(Connection(), stack, "db", SystemClock())
    else:
        servers = LocalServers(Path(root), Path(compose), os.environ["PATH"], "demo", SystemClock())
    with servers.server(manifest, RecordingReporter()):
        sys.stdout.write("up\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
