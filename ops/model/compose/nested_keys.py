"""What do the keys of a service say that are mappings or lists of entries?

Readers as in `simple_keys.py`: value, path and surroundings in, the value of the long form out, None to leave the
key out. All raise ConfigurationError, also for an entry's key that is not known.
"""

from __future__ import annotations

from ops.model.compose import schema
from ops.model.compose.mapping_forms import environment_form, extra_hosts_form, labels_form, options_form
from ops.model.compose.port_syntax import port_forms
from ops.model.compose.simple_keys import duration_of
from ops.model.compose.surroundings import Surroundings
from ops.model.compose.values import (
    Tree,
    Value,
    as_boolean,
    as_integer,
    as_list,
    as_mapping,
    as_text,
    as_texts,
    as_unique_texts,
    last_of_each_key,
    refuse,
)
from ops.model.compose.volume_syntax import mount_forms

_CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
_TESTS = ("CMD", "CMD-SHELL", "NONE")


def build_of(value: Value, where: str, around: Surroundings) -> Value:
    """How the image is built; the context is absolute."""
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


def healthcheck_of(value: Value, where: str, around: Surroundings) -> Value:
    """A health check, its durations as Go writes them."""
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
            form[key] = duration_of(tree[key], f"{where}.{key}", around)
    if "retries" in tree:
        form["retries"] = as_integer(tree["retries"], f"{where}.retries")
        if str(form["retries"]).startswith("-"):
            raise refuse(f"{where}.retries", "must not be negative")
    if as_boolean(tree.get("disable", False), f"{where}.disable"):
        form["disable"] = True
    return form


def depends_on_of(value: Value, where: str, _: Surroundings) -> Value:
    """What the service needs, and in which state."""
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


def logging_of(value: Value, where: str, _: Surroundings) -> Value:
    """Driver and options, as texts."""
    tree = as_mapping(value, where)
    schema.check_keys(tree, schema.LOGGING_KEYS, where)
    form: Tree = {}
    if driver := as_text(tree.get("driver", ""), f"{where}.driver"):
        form["driver"] = driver
    if "options" in tree and (options := options_form(tree["options"], f"{where}.options")):
        form["options"] = options
    return form


def networks_of(value: Value, where: str, _: Surroundings) -> Value:
    """Networks, each with nothing or with aliases."""
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


def secrets_of(value: Value, where: str, _: Surroundings) -> Value:
    """Secrets and where they lie in the container."""
    forms: dict[str, Value] = {}
    for index, entry in enumerate(as_list(value, where)):
        place = f"{where}[{index}]"
        tree: Tree = {"source": entry} if isinstance(entry, str) else as_mapping(entry, place)
        schema.check_keys(tree, schema.SECRET_MOUNT_KEYS, place)
        source = as_text(tree.get("source"), f"{place}.source")
        target = as_text(tree.get("target", f"/run/secrets/{source}"), f"{place}.target")
        forms[target] = {"source": source, "target": target}
    return list(forms.values()) or None


def env_files_of(value: Value, where: str, around: Surroundings) -> Value:
    """Env files by absolute path."""
    forms: dict[str, Value] = {}
    for index, entry in enumerate(value if isinstance(value, list) else [as_text(value, where)]):
        place = f"{where}[{index}]"
        tree: Tree = {"path": entry} if isinstance(entry, str) else as_mapping(entry, place)
        schema.check_keys(tree, schema.ENV_FILE_KEYS, place)
        path = around.folders.absolute(as_text(tree.get("path"), f"{place}.path"))
        forms[path] = {"path": path, "required": as_boolean(tree.get("required", True), f"{place}.required")}
    return list(forms.values()) or None


def ports_of(value: Value, where: str, _: Surroundings) -> Value:
    """Published ports."""
    return port_forms(value, where) or None


def volumes_of(value: Value, where: str, around: Surroundings) -> Value:
    """Mounts."""
    return mount_forms(value, where, around.folders) or None


def environment_of(value: Value, where: str, around: Surroundings) -> Value:
    """Variables; None for those that nobody sets."""
    return environment_form(value, where, around.variables) or None


def labels_of(value: Value, where: str, _: Surroundings) -> Value:
    """Labels."""
    return labels_form(value, where) or None


def extra_hosts_of(value: Value, where: str, _: Surroundings) -> Value:
    """Hosts, as `host=address`."""
    return extra_hosts_form(value, where) or None
