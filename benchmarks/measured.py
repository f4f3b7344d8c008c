"""How are two sides measured in one run, and how is the result said?

Both sides take turns, so that whatever else the machine does meets both. A result is the median of the repeats with
the lowest and the highest beside it, and the ratio of the medians; the machine and its load are always printed.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """What one side took, in seconds (or what `unit` says), once per repeat."""

    name: str
    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        spread = f" ({low:.3f} to {high:.3f})" if len(self.values) > 1 else ""
        return f"{self.name:<44} {self.median:9.3f} {self.unit}{spread}, {len(self.values)}x"


def taking_turns(sides: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Sample]:
    """Run each side once per repeat, in turn; the order changes with each repeat."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(repeats):
        for name in names if number % 2 == 0 else reversed(names):
            taken[name].append(seconds(sides[name]))
    return {name: Sample(name, tuple(values)) for name, values in taken.items()}


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(what: str, ours: float, theirs: float, target: float) -> str:
    """One line: our share of theirs beside the target."""
    share = ours / theirs
    return f"{what:<44} {share:9.2f} x, target at most {target:g} x: {'met' if share <= target else 'MISSED'}"


def share(what: str, ours: float, theirs: float) -> str:
    """One line: our share of theirs where no target is set."""
    return f"{what:<44} {ours / theirs:9.2f} x"


def below(what: str, value: float, target: float, unit: str) -> str:
    """One line: a number of ours that has no other side."""
    word = "met" if value <= target else "MISSED"
    return f"{what:<44} {value:9.2f} {unit}, target under {target:g} {unit}: {word}"


def load() -> str:
    """The load average of 1, 5 and 15 minutes."""
    return "load average " + ", ".join(f"{value:.2f}" for value in os.getloadavg())


def machine(*more: str) -> str:
    """What was measured on."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {memory_gb:.0f} GB, {_processor()}",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, invoke {_invoke()}",
        *more,
        load(),
    ]
    return "\n".join(lines)


def _invoke() -> str:
    return importlib.metadata.version("invoke")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def docker_version() -> str:
    """The engine's version and storage, in a line."""
    asked = ["docker", "info", "--format", "Docker {{.ServerVersion}}, {{.Driver}}"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False) if shutil.which("docker") else None
    return said.stdout.strip() if said and said.returncode == 0 else "no Docker engine"


def peak_memory_mb(argv: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> tuple[float, str]:
    """Run a program; the highest resident memory of it and its children together, and its stdout.

    Seen every 20 ms, and never less than the highest that the kernel noted of the program itself.
    """
    output = folder / ".stdout"
    with output.open("w", encoding="utf-8") as stdout:
        process = subprocess.Popen(argv, cwd=folder, env=dict(environment), stdout=stdout, stdin=subprocess.DEVNULL)
        peak_kb = 0
        while process.poll() is None:
            tree = _tree(process.pid)
            peak_kb = max(peak_kb, sum(_status_kb(pid, "VmRSS") for pid in tree), _status_kb(process.pid, "VmHWM"))
            time.sleep(0.02)
    said = output.read_text("utf-8")
    output.unlink()
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}")
    return peak_kb / 1000, said


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in _tree(int(child)))]


def _status_kb(pid: int, field: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
