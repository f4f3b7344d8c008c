"""A Docker engine of our own beside the machine's, so that a test may kill it.

Data, sockets and network are apart. It lives in a network namespace of its own, at the other end of a wire to ours: an
engine removes and makes `docker0` as it likes, and with `--bridge=none` or address pools it took the machine's away.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def missing() -> str:
    """Why no second engine can run here; empty where one can."""
    if os.geteuid() != 0:
        return "A SECOND DOCKER ENGINE NEEDS ROOT"
    absent = [name for name in ("dockerd", "containerd", "ip", "nsenter") if shutil.which(name) is None]
    return f"A SECOND DOCKER ENGINE NEEDS {', '.join(absent)} ON THIS MACHINE" if absent else ""


class SecondEngine:
    """`kill`, `terminate` and `start` it as often as a test likes; `remove` leaves nothing.

    Args:
        live_restore: whether containers outlive the engine.
    """

    def __init__(self, *, live_restore: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="opsd-", dir="/tmp"))
        self.host = f"unix://{self.folder}/docker.sock"
        self._name = f"opsd{secrets.token_hex(3)}"
        self._live_restore = live_restore
        self._process: subprocess.Popen[bytes] | None = None
        network = f"10.214.{secrets.randbelow(250)}"
        self.address = f"{network}.2"
        """Where its containers publish their ports."""
        inside = ["-n", self._name]
        for words in (
            ["netns", "add", self._name],
            ["link", "add", self._name, "type", "veth", "peer", "name", "wire", "netns", self._name],
            ["addr", "add", f"{network}.1/24", "dev", self._name],
            ["link", "set", self._name, "up"],
            [*inside, "addr", "add", f"{self.address}/24", "dev", "wire"],
            [*inside, "link", "set", "wire", "up"],
            [*inside, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)

        (self.folder / "containerd.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self._containerd = self._spawn(
            "containerd", f"--config={self.folder}/containerd.toml", f"--root={self.folder}/images",
            f"--state={self.folder}/state", f"--address={self.folder}/containerd.sock",
        )  # fmt: skip

    def _spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def start(self, within_s: float = 60) -> None:
        """Start it, or start it again, and wait until it answers.

        As where a service manager runs both, containerd is a service of its own and outlives it.
        """
        there = self.folder
        (there / "pid").unlink(missing_ok=True)
        self._process = self._spawn(
            "nsenter", f"--net=/run/netns/{self._name}",
            "dockerd", f"--data-root={there}/data", f"--exec-root={there}/exec", f"--host={self.host}",
            f"--pidfile={there}/pid", f"--containerd={there}/containerd.sock", "--iptables=false", "--ip6tables=false",
            "--shutdown-timeout=10", *(["--live-restore"] if self._live_restore else []),
        )  # fmt: skip
        deadline = time.monotonic() + within_s
        while self.docker("version", check=False).returncode != 0:
            assert self._process.poll() is None, (there / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (there / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, and wait: what a restart by the machine's service manager begins with."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The Docker command line, speaking to this engine."""
        return subprocess.run(
            ["docker", "--host", self.host, *words], check=check, capture_output=True, text=True, timeout=120
        )

    def take_image(self, name: str) -> None:
        """Copy an image from the machine's engine."""
        with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.host, "load"],
                stdin=saved.stdout,
                check=True,
                capture_output=True,
                timeout=300,
            )

    def remove(self) -> None:
        """End it with all that it runs, and remove its data and its networks."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        for container in self.docker("ps", "--all", "--quiet").stdout.split():
            self.docker("rm", "--force", "--volumes", container, check=False)
        self.terminate()
        self._containerd.terminate()
        self._containerd.wait(30)
        subprocess.run(["ip", "netns", "delete", self._name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", self._name], check=False, capture_output=True)
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for path in sorted((path for path in mounted if path.startswith(str(self.folder))), reverse=True):
            subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def second_engine(*, live_restore: bool = False) -> Iterator[SecondEngine]:
    """A running one, for as long as the context lasts."""
    made = SecondEngine(live_restore=live_restore)
    try:
        made.start()
        yield made
    finally:
        made.remove()
