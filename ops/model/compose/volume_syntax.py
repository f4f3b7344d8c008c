"""What does an entry of `volumes` mount, and where?

Compose's long form of each entry comes out. A source that begins with `.`, `/` or `~` is a path of the host and
becomes absolute; any other is the key of a volume.

Source: runtime.md 2.5; compose-go's format/volume.go. Relative targets and Windows paths, which engines on Linux
refuse, are refused here.
"""

from __future__ import annotations

import posixpath

from ops.model.compose.schema import BIND_KEYS, MOUNT_KEYS, TMPFS_KEYS, VOLUME_OPTION_KEYS, check_keys
from ops.model.compose.sizes import parse_size
from ops.model.compose.surroundings import Folders
from ops.model.compose.values import Tree, Value, as_boolean, as_list, as_mapping, as_text, refuse

_PROPAGATIONS = frozenset({"rprivate", "private", "rshared", "shared", "rslave", "slave"})
_SELINUX = frozenset({"z", "Z"})
_TOO_MANY = 4
_SHORTEST = 2
"""Compose looks no further into an entry of so few bytes."""


def cleaned(path: str) -> str:
    """An absolute path without `.`, `..` and doubled slashes, as Go's path.Clean has it."""
    return "/" + posixpath.normpath(path).lstrip("/")


def mount_forms(value: Value, where: str, folders: Folders) -> list[Value]:
    """All entries of `volumes` in Compose's long form; the last of those with one target is kept.

    Raises: ConfigurationError.
    """
    forms: dict[Value, Value] = {}
    for index, entry in enumerate(as_list(value, where)):
        place = f"{where}[{index}]"
        form = _short(entry, place) if isinstance(entry, str) else _long(as_mapping(entry, place), place)
        if form["type"] == "bind":
            form["source"] = folders.absolute(str(form.get("source", "")))
        forms[form["target"]] = form
    return list(forms.values())


def _short(text: str, where: str) -> Tree:
    if 0 < len(text.encode()) <= _SHORTEST:
        return {"type": "volume", "target": _target(text, where)}
    parts = text.split(":")
    if any(len(part) == 1 and part.isalpha() for part in parts[:-1]):
        raise refuse(where, f"{text!r}: Compose takes one letter before a colon for a Windows drive")
    if len(parts) >= _TOO_MANY or not all(parts):
        raise refuse(where, f"{text!r} is not SOURCE:TARGET[:OPTIONS]")
    form: Tree = {"type": "volume"}
    if len(parts) > 1:
        form["source"] = parts[0]
    form["target"] = _target(parts[1] if len(parts) > 1 else parts[0], where)
    options = parts[2].split(",") if len(parts) > 2 else []
    if [option for option in options if option in ("ro", "rw")][-1:] == ["ro"]:
        form["read_only"] = True
    if len(parts) > 1 and parts[0][0] in "./~":
        if "nocopy" in options:
            raise refuse(where, "nocopy means nothing for a path of the host")
        return form | {"type": "bind", "bind": _bind_options(options) | {"create_host_path": True}}
    if bind := _bind_options(options):
        form["bind"] = bind
    form["volume"] = {"nocopy": True} if "nocopy" in options else {}
    return form


def _target(path: str, where: str) -> str:
    if not path.startswith("/"):
        raise refuse(where, f"the target {path!r} must be an absolute path")
    return cleaned(path)


def _bind_options(options: list[str]) -> Tree:
    bind: Tree = {}
    for option in options:
        if option in _PROPAGATIONS:
            bind["propagation"] = option
        elif option in _SELINUX:
            bind["selinux"] = option
    return bind


def _long(entry: Tree, where: str) -> Tree:
    check_keys(entry, MOUNT_KEYS, where)
    kind = as_text(entry.get("type"), f"{where}.type")
    if kind not in ("bind", "volume", "tmpfs"):
        raise refuse(f"{where}.type", f"{kind!r} is not supported: bind, volume or tmpfs")
    if "target" not in entry:
        raise refuse(where, "needs a target")
    form: Tree = {"type": kind, "target": _target(as_text(entry["target"], f"{where}.target"), where)}
    if source := as_text(entry.get("source", ""), f"{where}.source"):
        form["source"] = source
    elif kind == "bind":
        raise refuse(where, "a bind needs a source")
    if as_boolean(entry.get("read_only", False), f"{where}.read_only"):
        form["read_only"] = True
    for key, read in (("bind", _long_bind), ("volume", _long_volume), ("tmpfs", _long_tmpfs)):
        if key in entry:
            if key != kind:
                raise refuse(f"{where}.{key}", f"means nothing for a mount of type {kind}")
            form[key] = read(as_mapping(entry[key], f"{where}.{key}"), f"{where}.{key}")
    return form


def _long_bind(entry: Tree, where: str) -> Tree:
    check_keys(entry, BIND_KEYS, where)
    bind: Tree = {}
    if "create_host_path" in entry:
        bind["create_host_path"] = as_boolean(entry["create_host_path"], f"{where}.create_host_path")
    for key, words in (("selinux", _SELINUX), ("propagation", _PROPAGATIONS)):
        if key in entry:
            if entry[key] not in words:
                raise refuse(f"{where}.{key}", f"must be one of {', '.join(sorted(words))}")
            bind[key] = entry[key]
    return bind


def _long_volume(entry: Tree, where: str) -> Tree:
    check_keys(entry, VOLUME_OPTION_KEYS, where)
    return {"nocopy": True} if as_boolean(entry.get("nocopy", False), f"{where}.nocopy") else {}


def _long_tmpfs(entry: Tree, where: str) -> Tree:
    check_keys(entry, TMPFS_KEYS, where)
    tmpfs: Tree = {}
    if "size" in entry and (size := parse_size(entry["size"], f"{where}.size")):
        tmpfs["size"] = str(size)
    mode = entry.get("mode")
    if mode is not None:
        if isinstance(mode, bool) or not isinstance(mode, int):
            raise refuse(f"{where}.mode", "must be a number such as 0o1777")
        tmpfs["mode"] = mode
    return tmpfs
