"""What are the top-level networks, volumes and secrets in Compose's own long form?"""

from __future__ import annotations

from ops.model.compose import schema
from ops.model.compose.mapping_forms import labels_form, options_form
from ops.model.compose.surroundings import Folders
from ops.model.compose.values import Tree, Value, as_boolean, as_mapping, as_text, refuse


def network_form(key: str, entry: Value, project: str) -> Tree:
    """One entry of `networks`. Raises: ConfigurationError."""
    where = f"networks.{key}"
    tree = _checked(entry, schema.NETWORK_KEYS, where)
    form = _named(tree, key, project, where)
    if driver := as_text(tree.get("driver", ""), f"{where}.driver"):
        form["driver"] = driver
    form["ipam"] = {}
    if as_boolean(tree.get("internal", False), f"{where}.internal"):
        form["internal"] = True
    return form | _labels(tree, where)


def volume_form(key: str, entry: Value, project: str) -> Tree:
    """One entry of `volumes`. Raises: ConfigurationError."""
    where = f"volumes.{key}"
    tree = _checked(entry, schema.VOLUME_KEYS, where)
    form = _named(tree, key, project, where)
    if driver := as_text(tree.get("driver", ""), f"{where}.driver"):
        form["driver"] = driver
    if "driver_opts" in tree and (options := options_form(tree["driver_opts"], f"{where}.driver_opts")):
        form["driver_opts"] = options
    return form | _labels(tree, where)


def secret_form(key: str, entry: Value, project: str, folders: Folders) -> Tree:
    """One entry of `secrets`. Raises: ConfigurationError."""
    where = f"secrets.{key}"
    tree = as_mapping(entry, where)
    schema.check_keys(tree, schema.SECRET_KEYS, where)
    if len(tree) != 1:
        raise refuse(where, "needs either file or environment")
    if "environment" in tree:
        return {"name": f"{project}_{key}", "environment": as_text(tree["environment"], f"{where}.environment")}
    return {"name": f"{project}_{key}", "file": folders.absolute(as_text(tree["file"], f"{where}.file"))}


def _checked(entry: Value, known: frozenset[str], where: str) -> Tree:
    tree = {} if entry is None else as_mapping(entry, where)
    schema.check_keys(tree, known, where)
    return tree


def _named(tree: Tree, key: str, project: str, where: str) -> Tree:
    is_external = as_boolean(tree.get("external", False), f"{where}.external")
    if is_external and (others := sorted(set(tree) - {"external", "name"})):
        raise refuse(where, f"an external one has only a name, not {', '.join(others)}")
    default = key if is_external else f"{project}_{key}"
    form: Tree = {"name": as_text(tree.get("name", default), f"{where}.name")}
    if is_external:
        form["external"] = True
    return form


def _labels(tree: Tree, where: str) -> Tree:
    labels = labels_form(tree["labels"], f"{where}.labels") if "labels" in tree else {}
    return {"labels": labels} if labels else {}
