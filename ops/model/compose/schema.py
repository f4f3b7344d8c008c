"""Which keys of a compose file do we know, by path?

Whatever is not here is refused by its full path, never ignored: a key that an engine does not honour would be a
lie. `x-*` is allowed at the top level and in a service. A key enters here only together with what honours it.
"""

from __future__ import annotations

from ops.errors import ConfigurationError
from ops.model.compose.values import Tree

TOP_KEYS = frozenset({"name", "version", "services", "networks", "volumes", "secrets"})
SERVICE_KEYS = frozenset(
    (
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "container_name",
        "cpus",
        "depends_on",
        "entrypoint",
        "env_file",
        "environment",
        "expose",
        "extra_hosts",
        "group_add",
        "healthcheck",
        "hostname",
        "image",
        "init",
        "labels",
        "logging",
        "mem_limit",
        "network_mode",
        "networks",
        "pids_limit",
        "ports",
        "profiles",
        "pull_policy",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "shm_size",
        "stdin_open",
        "stop_grace_period",
        "stop_signal",
        "tmpfs",
        "tty",
        "user",
        "volumes",
        "working_dir",
    )
)
BUILD_KEYS = frozenset({"context", "dockerfile", "target", "args"})
HEALTHCHECK_KEYS = frozenset({"test", "interval", "timeout", "retries", "start_period", "disable"})
DEPENDENCY_KEYS = frozenset({"condition", "restart", "required"})
LOGGING_KEYS = frozenset({"driver", "options"})
PORT_KEYS = frozenset({"name", "mode", "host_ip", "target", "published", "protocol", "app_protocol"})
MOUNT_KEYS = frozenset({"type", "source", "target", "read_only", "bind", "volume", "tmpfs"})
BIND_KEYS = frozenset({"create_host_path", "propagation", "selinux"})
VOLUME_OPTION_KEYS = frozenset({"nocopy"})
TMPFS_KEYS = frozenset({"size", "mode"})
SECRET_MOUNT_KEYS = frozenset({"source", "target"})
ENV_FILE_KEYS = frozenset({"path", "required"})
SERVICE_NETWORK_KEYS = frozenset({"aliases"})
NETWORK_KEYS = frozenset({"driver", "internal", "external", "name", "labels"})
VOLUME_KEYS = frozenset({"driver", "driver_opts", "external", "name", "labels"})
SECRET_KEYS = frozenset({"file", "environment"})


def check_keys(tree: Tree, known: frozenset[str], where: str, *, is_open: bool = False) -> None:
    """Refuse the first key that is not known, by its path; `is_open` lets `x-*` pass.

    Raises: ConfigurationError.
    """
    for key in tree:
        if key in known or (is_open and key.startswith("x-")):
            continue
        path = f"{where}.{key}" if where else key
        raise ConfigurationError(
            f"the key {path} is not supported",
            cause=f"here ops knows {', '.join(sorted(known))}",
            hint=f"remove {path} from the compose file, or rename it to x-{key}" if is_open else f"remove {path}",
        )
