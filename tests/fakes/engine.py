"""An engine in memory: services are numbers that a clock moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO

from ops.errors import OpsError, UnknownService
from ops.model.compose.project import Service, Stack, image_reference
from ops.model.compose.spec import spec_text
from ops.model.endpoint import Endpoint
from ops.model.engine import EngineInfo, EngineName, LogLine, Probe, ServiceStatus, StackState
from ops.model.stack_plan import Step
from ops.ports import Clock, Reporter, ToolRunner


class Killed(BaseException):
    """The process was killed at this point: nothing catches it."""


@dataclass(frozen=True)
class Behaviour:
    """What a service does once it is started; seconds count from its start."""

    healthy_after_s: float | None = 0.0
    """None: it has no health check."""
    unhealthy_after_s: float | None = None
    ends_after_s: float | None = None
    exit_code: int = 0
    is_restarted: bool = False
    """Whether the engine starts it again each time it ends."""
    says: tuple[str, ...] = ("hello",)


@dataclass
class Running:
    """One container or process, running or ended."""

    id: str
    service: Service
    started_s: float
    started_at: datetime
    stopped: bool = False
    exit_code: int = 143


@dataclass
class FakeEngine:
    """Fulfils the Engine port; what a test wants to see or change is public."""

    clock: Clock
    name: EngineName = "docker"
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    containers: dict[str, Running] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    without_process: dict[str, str] = field(default_factory=dict)
    programs: dict[tuple[str, ...], Callable[[bytes], tuple[int, bytes]]] = field(default_factory=dict)
    endpoint: Endpoint | None = None
    tool_runner: ToolRunner | None = None
    applied: list[tuple[str, str]] = field(default_factory=list)
    refuses: OpsError | None = None
    """What preflight raises."""
    killed_after: int | None = None
    """Raise `Killed` once so many steps were applied."""
    _count: int = 0

    def info(self) -> EngineInfo:
        return EngineInfo(self.name, "memory", "1", "fake")

    def left_out(self, stack: Stack) -> Mapping[str, str]:
        return {name: why for name, why in self.without_process.items() if name in stack.services}

    def observe(self, stack: Stack) -> StackState:
        return StackState(
            project=stack.project,
            services={name: self.status(stack, name) for name in stack.services},
            networks=dict(self.networks),
            volumes=dict(self.volumes),
            image_ids=dict(self.images),
            orphans=tuple(
                ServiceStatus(name, state="running", container_id=it.id, container_name=name, is_orphan=True)
                for name, it in self.containers.items()
                if name not in stack.services
            ),
        )

    def status(self, stack: Stack, service: str) -> ServiceStatus:
        if service not in stack.services:
            raise UnknownService(f"there is no service {service!r} in the stack")
        it = self.containers.get(service)
        return ServiceStatus(service) if it is None else self._status(it)

    def _status(self, it: Running) -> ServiceStatus:
        does = self.behaviours.get(it.service.name, Behaviour())
        ran_s = self.clock.monotonic() - it.started_s
        ended = does.ends_after_s is not None and ran_s >= does.ends_after_s
        restarts = int(ran_s // does.ends_after_s) if ended and does.is_restarted and does.ends_after_s else 0
        code = it.exit_code if it.stopped else does.exit_code if ended and not does.is_restarted else None
        is_healthy = does.healthy_after_s is not None and ran_s >= does.healthy_after_s
        is_unhealthy = does.unhealthy_after_s is not None and ran_s >= does.unhealthy_after_s
        health = "unhealthy" if is_unhealthy else "healthy" if is_healthy else "starting"
        return ServiceStatus(
            service=it.service.name,
            state="running" if code is None else "exited",
            health="none" if does.healthy_after_s is None or code is not None else health,
            container_id=it.id,
            container_name=it.service.name,
            exit_code=code,
            restart_count=restarts,
            started_at=it.started_at + timedelta(seconds=restarts * (does.ends_after_s or 0.0)),
            config_hash=next(iter(it.service.config_hashes), ""),
            spec=spec_text(it.service),
            probes=() if does.healthy_after_s is None else (Probe(0 if is_healthy else 1, f"probe says {health}"),),
        )

    def preflight(self, steps: Sequence[Step], stack: Stack) -> None:
        if self.refuses is not None:
            raise self.refuses

    def apply(self, step: Step, stack: Stack, report: Reporter) -> None:
        if self.killed_after is not None and len(self.applied) >= self.killed_after:
            raise Killed
        carry_out = {
            "create-network": self._create_network,
            "remove-network": lambda step, stack: self.networks.pop(stack.networks[step.subject].name, None),
            "create-volume": self._create_volume,
            "remove-volume": lambda step, stack: self.volumes.pop(stack.volumes[step.subject].name, None),
            "pull-image": self._get_image,
            "build-image": self._get_image,
            "create": self._start,
            "start": self._start,
            "recreate": self._start,
            "stop": lambda step, _stack: self._stop(step.subject),
            "remove": lambda step, _stack: self.containers.pop(step.subject, None),
            "keep": lambda _step, _stack: None,
        }
        carry_out[step.action](step, stack)
        self.applied.append((step.action, step.subject))

    def _create_network(self, step: Step, stack: Stack) -> None:
        network = stack.networks[step.subject]
        self.networks[network.name] = network.config_hash

    def _create_volume(self, step: Step, stack: Stack) -> None:
        volume = stack.volumes[step.subject]
        self.volumes.setdefault(volume.name, volume.config_hash)

    def _get_image(self, step: Step, stack: Stack) -> None:
        self.images[image_reference(stack.project, stack.services[step.subject])] = "sha256:fake"

    def _start(self, step: Step, stack: Stack) -> None:
        it = self.containers.get(step.subject)
        is_running = it is not None and self._status(it).state == "running"
        if step.action != "recreate" and is_running:
            return
        self._count += 1
        service = stack.services[step.subject]
        for mount in service.mounts:
            if mount.kind == "volume" and mount.source in stack.volumes:
                volume = stack.volumes[mount.source]
                self.volumes.setdefault(volume.name, volume.config_hash)
        self.containers[step.subject] = Running(f"c{self._count}", service, self.clock.monotonic(), self.clock.now())

    def _stop(self, service: str) -> None:
        if service in self.containers:
            self.containers[service].stopped = True

    def kill(self, service: str) -> None:
        """End a service as from outside."""
        self.containers[service].stopped = True
        self.containers[service].exit_code = 137

    def logs(
        self,
        stack: Stack,
        services: Sequence[str],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        for name in services or stack.services:
            it = self.containers.get(name)
            said = self.behaviours.get(name, Behaviour()).says if it is not None else ()
            shown = said if tail is None else said[len(said) - min(tail, len(said)) :]
            for text in shown:
                if it is not None and (since is None or it.started_at >= since):
                    yield LogLine(name, text, it.started_at)

    def execute(
        self,
        stack: Stack,
        service: str,
        argv: Sequence[str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        interactive: bool = False,
    ) -> int:
        it = self.containers.get(service)
        if it is None or self._status(it).state != "running":
            raise UnknownService(f"{service} is not running")
        return self._run(argv, stdin, stdout)

    def run_once(
        self,
        stack: Stack,
        service: Service,
        argv: Sequence[str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        return self._run(argv, stdin, stdout)

    def _run(self, argv: Sequence[str], stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> int:
        program = self.programs.get(tuple(argv))
        if program is None:
            return 127
        code, said = program(stdin.read() if stdin is not None else b"")
        if stdout is not None:
            stdout.write(said)
        return code

    def build(self, stack: Stack, services: Sequence[str], *, no_cache: bool, report: Reporter) -> Mapping[str, str]:
        return {name: "sha256:fake" for name in services or stack.services if stack.services[name].build is not None}

    def pull(self, stack: Stack, services: Sequence[str], *, report: Reporter) -> Mapping[str, str]:
        return {name: "sha256:fake" for name in services or stack.services if stack.services[name].image is not None}

    def database_endpoint(self, stack: Stack, service: str) -> Endpoint:
        it = self.containers.get(service)
        if it is None or self._status(it).state != "running" or self.endpoint is None:
            raise UnknownService(f"{service} is not running")
        return self.endpoint

    def tools(self, stack: Stack, service: str) -> ToolRunner:
        if self.tool_runner is None:
            raise UnknownService(f"{service} is not running")
        return self.tool_runner
