"""Which ports does an entry of `ports` publish?

Source: runtime.md 2.5; go-connections' nat.ParsePortSpec. No host IP means all addresses, IPv6 included.
"""

from __future__ import annotations

import ipaddress
import re

from ops.errors import ConfigurationError
from ops.model.compose.schema import PORT_KEYS, check_keys
from ops.model.compose.values import Tree, Value, as_integer, as_list, as_text, printed, refuse

_PROTOCOLS = ("tcp", "udp", "sctp")
_NUMBER = re.compile(r"[0-9]+\Z", re.ASCII)
_LARGEST = 65535


def port_forms(value: Value, where: str) -> list[Value]:
    """All entries of `ports` in Compose's long form, ranges expanded, the last of equal ones kept.

    Raises: ConfigurationError.
    """
    forms: dict[tuple[Value, ...], Value] = {}
    for index, entry in enumerate(as_list(value, where)):
        for form in _entry(entry, f"{where}[{index}]"):
            forms[form.get("host_ip", "0.0.0.0"), form.get("published"), form["target"], form["protocol"]] = form  # noqa: S104 - the word that "no address" means
    return list(forms.values())


def _entry(entry: Value, where: str) -> list[Tree]:
    if isinstance(entry, dict):
        return [_long(entry, where)]
    if isinstance(entry, (str, int)) and not isinstance(entry, bool):
        return _short(str(entry), where)
    raise refuse(where, "must be text such as 127.0.0.1:8000:80, or a mapping")


def _long(entry: Tree, where: str) -> Tree:
    check_keys(entry, PORT_KEYS, where)
    if "target" not in entry:
        raise refuse(where, "needs a target port")
    form: Tree = {
        "mode": as_text(entry.get("mode", "ingress"), f"{where}.mode"),
        "target": as_integer(entry["target"], f"{where}.target"),
        "protocol": _protocol(as_text(entry.get("protocol", "tcp"), f"{where}.protocol"), where),
    }
    if not 0 < int(str(form["target"])) <= _LARGEST:
        raise refuse(f"{where}.target", f"{form['target']} is not a port")
    for key in ("name", "host_ip", "app_protocol"):
        if key in entry:
            form[key] = as_text(entry[key], f"{where}.{key}")
    if "host_ip" in form:
        _check_address(str(form["host_ip"]), where)
    if "published" in entry and (published := printed(entry["published"], f"{where}.published")):
        _range(published, f"{where}.published")
        form["published"] = published
    return form


def _short(text: str, where: str) -> list[Tree]:
    *before, container = text.split(":")
    address = ":".join(before[:-1])
    host = before[-1] if before else ""
    numbers, _, protocol = container.partition("/")
    protocol = _protocol(protocol or "tcp", where)
    if address.startswith("["):
        if not address.endswith("]"):
            raise refuse(where, f"{address!r} is not an IP address")
        address = address[1:-1]
    if address:
        _check_address(address, where)
    first, last = _range(numbers, where)
    if not first:
        raise refuse(where, "0 is not a port of a container")
    forms = [
        {"mode": "ingress", "target": first + step, "protocol": protocol, **published}
        for step, published in enumerate(_published(host, last - first, where))
    ]
    if address:
        for form in forms:
            form["host_ip"] = address
    # Compose sorts by the text of the container port, so 10 comes before 9.
    return sorted(forms, key=lambda form: f"{form['target']}/{form['protocol']}")


def _published(host: str, more: int, where: str) -> list[Tree]:
    if not host:
        return [{} for _ in range(more + 1)]
    first, last = _range(host, where)
    if more == 0 and last > first:
        return [{"published": f"{first}-{last}"}]
    if last - first != more:
        raise refuse(where, f"the ranges of host ports {host} and of container ports differ in length")
    return [{"published": str(first + step)} for step in range(more + 1)]


def _range(text: str, where: str) -> tuple[int, int]:
    parts = text.split("-")
    if len(parts) > 2 or not all(_NUMBER.match(part) for part in parts):
        raise refuse(where, f"{text!r} is not a port")
    first, last = int(parts[0]), int(parts[-1])
    if not first <= last <= _LARGEST:
        raise refuse(where, f"{text!r} is not a port or a range of ports")
    return first, last


def _protocol(text: str, where: str) -> str:
    if text.lower() not in _PROTOCOLS:
        raise refuse(where, f"{text!r} is not one of {', '.join(_PROTOCOLS)}")
    return text.lower()


def _check_address(text: str, where: str) -> None:
    try:
        ipaddress.ip_address(text.replace("%", " "))  # Go's parser knows no zones
    except ValueError as error:
        raise ConfigurationError(
            f"{where}: {text!r} is not an IP address", hint="write 127.0.0.1 for this machine only"
        ) from error
