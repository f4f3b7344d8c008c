"""Which request creates the container that a service of the compose file describes?

Pure: values in, the Engine API's JSON out. Names, labels and the form of every field are Compose's own (2.40), so that
`docker compose` takes the container for its own and has nothing to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.model.compose.project import HealthTest, Mount, Port, Service, Stack, image_reference
from ops.model.compose.spec import SPEC_LABEL, spec_text

LABEL = "com.docker.compose."
PROJECT, SERVICE, NUMBER = f"{LABEL}project", f"{LABEL}service", f"{LABEL}container-number"
ONE_OFF, CONFIG_HASH, IMAGE = f"{LABEL}oneoff", f"{LABEL}config-hash", f"{LABEL}image"
NETWORK, VOLUME, VERSION, SLUG = f"{LABEL}network", f"{LABEL}volume", f"{LABEL}version", f"{LABEL}slug"
REPLACE = f"{LABEL}replace"
COMPOSE_VERSION = "2.40.3"
"""The Compose whose labels and hashes we write."""

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Placement:
    """What the engine already holds for a container to be made."""

    image_id: str
    parent_id: str = ""
    """Container whose network `network_mode: service:NAME` shares."""
    inherited: Mapping[str, str] = field(default_factory=dict)
    """Path inside -> anonymous volume of the container that is replaced."""
    replaces: str = ""
    """Name of the container that is replaced."""


def container_name(stack: Stack, service: Service) -> str:
    """The container's final name."""
    return service.container_name or f"{stack.project}-{service.name}-1"


def project_labels(stack: Stack) -> dict[str, str]:
    """The labels that containers, networks and volumes of the project share."""
    return {PROJECT: stack.project, VERSION: COMPOSE_VERSION}


def labels(stack: Stack, service: Service, placement: Placement) -> dict[str, str]:
    """All labels of a container."""
    needs = ",".join(f"{need.service}:{need.condition}:{str(need.is_restarted).lower()}" for need in service.depends_on)
    found = {
        **service.labels,
        **project_labels(stack),
        SERVICE: service.name,
        NUMBER: "1",
        ONE_OFF: "False",
        CONFIG_HASH: service.config_hashes[0] if service.config_hashes else "",
        IMAGE: placement.image_id,
        f"{LABEL}project.config_files": ",".join(str(file) for file in stack.files),
        f"{LABEL}project.working_dir": str(stack.working_dir),
        f"{LABEL}depends_on": needs,
        SPEC_LABEL: spec_text(service),
    }
    if placement.replaces:
        found[REPLACE] = placement.replaces
    return found


def creation(stack: Stack, service: Service, placement: Placement) -> dict[str, Any]:
    """The body of `POST /containers/create`; only the first network is in it, as engines before 25 take one."""
    body: dict[str, Any] = {
        "Image": image_reference(stack.project, service),
        "Labels": labels(stack, service, placement),
        "Env": [f"{name}={value}" for name, value in service.environment.items()],
        "ExposedPorts": {port: {} for port in _exposed(service)},
        "Volumes": {mount.target: {} for mount in _anonymous(service) if mount.target not in placement.inherited},
        "Tty": service.tty,
        "OpenStdin": service.stdin_open,
        "HostConfig": _host_config(stack, service, placement),
        **_given(
            Cmd=None if service.command is None else list(service.command),
            Entrypoint=None if service.entrypoint is None else list(service.entrypoint),
            Hostname=service.hostname,
            User=service.user,
            WorkingDir=service.working_dir,
            StopSignal=service.stop_signal,
            StopTimeout=None if service.stop_grace_period_s is None else round(service.stop_grace_period_s),
            Healthcheck=service.healthcheck and _health(service.healthcheck),
        ),
    }
    first = next(iter(endpoints(stack, service).items()), None)
    if first:
        body["NetworkingConfig"] = {"EndpointsConfig": {first[0]: first[1]}}
    return body


def endpoints(stack: Stack, service: Service) -> dict[str, dict[str, Any]]:
    """Engine name of each network of the service -> its endpoint settings, the one to create with first."""
    if service.network_mode:
        return {}
    found = {}
    for key, extra in sorted(service.networks.items()):
        network = stack.networks.get(key)
        name = network.name if network else f"{stack.project}_{key}"
        aliases = dict.fromkeys([container_name(stack, service), service.name, *extra])
        found[name] = {"Aliases": list(aliases)}
    return found


def one_off(stack: Stack, service: Service, placement: Placement, argv: Iterable[str], slug: str) -> dict[str, Any]:
    """The body for a one-off container: the service without its ports, aliases, restarts and health check."""
    body = creation(stack, service, placement)
    body["Labels"] = {**body["Labels"], ONE_OFF: "True", SLUG: slug}
    body["Cmd"] = list(argv)
    body["Healthcheck"] = {"Test": ["NONE"]}
    body["HostConfig"] = {**body["HostConfig"], "PortBindings": {}, "RestartPolicy": {"Name": "no"}, "AutoRemove": True}
    if "NetworkingConfig" in body:
        (name,) = body["NetworkingConfig"]["EndpointsConfig"]
        body["NetworkingConfig"] = {"EndpointsConfig": {name: {}}}
    return body


def _host_config(stack: Stack, service: Service, placement: Placement) -> dict[str, Any]:
    return {
        "Binds": _binds(stack, service, placement),
        "PortBindings": _port_bindings(service.ports),
        "NetworkMode": _network_mode(stack, service, placement),
        "RestartPolicy": _restart_policy(service.restart),
        "Tmpfs": {m.target: ",".join(m.options) for m in service.mounts if m.kind == "tmpfs"},
        "ReadonlyRootfs": service.read_only,
        "LogConfig": {"Type": service.log_driver or "", "Config": dict(service.log_options)},
        **_given(
            Mounts=[_strict_bind(m) for m in service.mounts if m.kind == "bind" and not m.create_host_path] or None,
            Init=service.init,
            CapAdd=list(service.cap_add) or None,
            CapDrop=list(service.cap_drop) or None,
            SecurityOpt=list(service.security_opt) or None,
            ExtraHosts=[host.replace("=", ":", 1) for host in service.extra_hosts] or None,
            GroupAdd=list(service.group_add) or None,
            ShmSize=service.shm_size_bytes,
            Memory=service.mem_limit_bytes,
            NanoCpus=None if service.cpus is None else round(service.cpus * _NANOSECONDS),
            PidsLimit=service.pids_limit,
        ),
    }


def _given(**fields: Any) -> dict[str, Any]:
    """Only what is set: null and absent differ for some fields of the engine."""
    return {name: value for name, value in fields.items() if value is not None}


def _binds(stack: Stack, service: Service, placement: Placement) -> list[str]:
    found = []
    for mount in service.mounts:
        mode = ",".join(["ro" if mount.read_only else "rw", *(o for o in mount.options if o not in {"ro", "rw"})])
        if mount.kind == "volume" and mount.source is not None:
            found.append(f"{volume_name(stack, mount.source)}:{mount.target}:{mode}")
        elif mount.kind == "bind" and mount.create_host_path:
            found.append(f"{mount.source}:{mount.target}:{mode}")
    for secret in service.secrets:
        source = stack.secrets.get(secret.name)
        if source and source.file:
            found.append(f"{source.file}:{secret.target}:ro")
    return found + [f"{name}:{target}:rw" for target, name in placement.inherited.items()]


def volume_name(stack: Stack, key: str) -> str:
    """The engine's name for a volume of the stack."""
    volume = stack.volumes.get(key)
    return volume.name if volume else f"{stack.project}_{key}"


def _anonymous(service: Service) -> list[Mount]:
    return [mount for mount in service.mounts if mount.kind == "volume" and mount.source is None]


def _strict_bind(mount: Mount) -> dict[str, Any]:
    return {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}


def _exposed(service: Service) -> list[str]:
    published = [f"{port.target}/{port.protocol}" for port in service.ports]
    exposed = [entry if "/" in entry else f"{entry}/tcp" for entry in service.expose]
    return list(dict.fromkeys(published + exposed))


def _port_bindings(ports: Iterable[Port]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        binding = {"HostIp": port.host_ip or "", "HostPort": port.published or ""}
        found.setdefault(f"{port.target}/{port.protocol}", []).append(binding)
    return found


def _network_mode(stack: Stack, service: Service, placement: Placement) -> str:
    if service.network_mode and service.network_mode.startswith("service:"):
        return f"container:{placement.parent_id}"
    if service.network_mode:
        return service.network_mode
    return next(iter(endpoints(stack, service)), "none")


def _restart_policy(restart: str | None) -> dict[str, Any]:
    name, _, count = (restart or "no").partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _health(check: HealthTest) -> dict[str, Any]:
    def nanoseconds(seconds: float | None) -> int | None:
        return None if seconds is None else round(seconds * _NANOSECONDS)

    return _given(
        Test=None if check.test is None else list(check.test),
        Interval=nanoseconds(check.interval_s),
        Timeout=nanoseconds(check.timeout_s),
        StartPeriod=nanoseconds(check.start_period_s),
        Retries=check.retries,
    )
