"""How does a long form become the values that engines and plans work with?

The long form was checked while it was made: what is read here has the shape that `service_form.py` gave it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.model.compose.config_hash import network_hash, service_hashes, volume_hash
from ops.model.compose.durations import SECOND, parse_duration
from ops.model.compose.project import (
    Build,
    Dependency,
    HealthTest,
    Mount,
    Network,
    Port,
    SecretMount,
    SecretSource,
    Service,
    Volume,
)
from ops.model.compose.values import Tree

_SECRETS_FOLDER = "/run/secrets"


def resolve_service(name: str, tree: Tree) -> Service:
    """A service's values from its long form (environment resolved, env files merged in)."""
    form: dict[str, Any] = dict(tree)
    logging = form.get("logging", {})
    return Service(
        name=name,
        image=form.get("image"),
        build=_build(form["build"]) if "build" in form else None,
        pull_policy=form.get("pull_policy"),
        container_name=form.get("container_name"),
        command=_words(form.get("command")),
        entrypoint=_words(form.get("entrypoint")),
        environment={key: value for key, value in form.get("environment", {}).items() if value is not None},
        ports=tuple(_port(port) for port in form.get("ports", ())),
        expose=tuple(form.get("expose", ())),
        mounts=(
            *(_mount(mount) for mount in form.get("volumes", ())),
            *(_tmpfs(text) for text in form.get("tmpfs", ())),
        ),
        networks={key: tuple((entry or {}).get("aliases", ())) for key, entry in form.get("networks", {}).items()},
        network_mode=form.get("network_mode"),
        depends_on=tuple(_dependency(key, entry) for key, entry in form.get("depends_on", {}).items()),
        healthcheck=_healthcheck(form["healthcheck"]) if "healthcheck" in form else None,
        restart=form.get("restart"),
        profiles=tuple(form.get("profiles", ())),
        secrets=tuple(_secret(entry) for entry in form.get("secrets", ())),
        labels=dict(form.get("labels", {})),
        user=form.get("user"),
        working_dir=form.get("working_dir"),
        hostname=form.get("hostname"),
        init=form.get("init"),
        read_only=form.get("read_only", False),
        tty=form.get("tty", False),
        stdin_open=form.get("stdin_open", False),
        cap_add=tuple(form.get("cap_add", ())),
        cap_drop=tuple(form.get("cap_drop", ())),
        security_opt=tuple(form.get("security_opt", ())),
        extra_hosts=tuple(form.get("extra_hosts", ())),
        group_add=tuple(form.get("group_add", ())),
        shm_size_bytes=_number(form.get("shm_size")),
        mem_limit_bytes=_number(form.get("mem_limit")),
        cpus=form.get("cpus"),
        pids_limit=form.get("pids_limit"),
        stop_grace_period_s=_seconds(form.get("stop_grace_period")),
        stop_signal=form.get("stop_signal"),
        log_driver=logging.get("driver"),
        log_options=dict(logging.get("options", {})),
        config_hashes=service_hashes(tree),
    )


def resolve_network(key: str, tree: Tree) -> Network:
    """A network's values from its long form."""
    form: dict[str, Any] = dict(tree)
    is_external = form.get("external", False)
    return Network(
        key=key,
        name=form["name"],
        driver=form.get("driver"),
        is_external=is_external,
        is_internal=form.get("internal", False),
        labels=dict(form.get("labels", {})),
        config_hash="" if is_external else network_hash(tree),
    )


def resolve_volume(key: str, tree: Tree) -> Volume:
    """A volume's values from its long form."""
    form: dict[str, Any] = dict(tree)
    is_external = form.get("external", False)
    return Volume(
        key=key,
        name=form["name"],
        driver=form.get("driver"),
        driver_opts=dict(form.get("driver_opts", {})),
        is_external=is_external,
        labels=dict(form.get("labels", {})),
        config_hash="" if is_external else volume_hash(tree),
    )


def resolve_secret(key: str, tree: Tree) -> SecretSource:
    """A secret's source from its long form."""
    form: dict[str, Any] = dict(tree)
    return SecretSource(
        name=key, file=Path(form["file"]) if "file" in form else None, environment=form.get("environment")
    )


def _words(words: Any) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text, "") / SECOND


def _build(form: Any) -> Build:
    context = Path(form["context"])
    return Build(
        context=context,
        dockerfile=context / form["dockerfile"],
        target=form.get("target"),
        args=dict(form.get("args", {})),
    )


def _port(form: Any) -> Port:
    return Port(
        target=form["target"], published=form.get("published"), host_ip=form.get("host_ip"), protocol=form["protocol"]
    )


def _mount(form: Any) -> Mount:
    bind = form.get("bind", {})
    tmpfs = form.get("tmpfs", {})
    options = [bind[key] for key in ("selinux", "propagation") if key in bind]
    options += ["nocopy"] if form.get("volume", {}).get("nocopy") else []
    options += [f"size={tmpfs['size']}"] if "size" in tmpfs else []
    options += [f"mode={tmpfs['mode']:o}"] if "mode" in tmpfs else []
    options += ["ro"] if form["type"] == "tmpfs" and "read_only" in form else []
    return Mount(
        kind=form["type"],
        target=form["target"],
        source=form.get("source"),
        read_only=form.get("read_only", False),
        # Compose 2.40 makes the folder where `bind` is not written at all, and not where it says nothing of it.
        create_host_path=bind.get("create_host_path", "bind" not in form),
        options=tuple(options),
    )


def _tmpfs(text: str) -> Mount:
    target, _, options = text.partition(":")
    return Mount(kind="tmpfs", target=target, options=tuple(options.split(",")) if options else ())


def _dependency(service: str, form: Any) -> Dependency:
    return Dependency(
        service=service,
        condition=form["condition"],
        is_restarted=form.get("restart", False),
        is_required=form["required"],
    )


def _healthcheck(form: Any) -> HealthTest:
    return HealthTest(
        test=("NONE",) if form.get("disable") else _words(form.get("test")),
        interval_s=_seconds(form.get("interval")),
        timeout_s=_seconds(form.get("timeout")),
        start_period_s=_seconds(form.get("start_period")),
        retries=form.get("retries"),
    )


def _secret(form: Any) -> SecretMount:
    target = form["target"]
    return SecretMount(name=form["source"], target=target if target.startswith("/") else f"{_SECRETS_FOLDER}/{target}")
