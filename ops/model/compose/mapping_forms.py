"""What do `environment`, `labels`, `extra_hosts` and options say, written as a mapping or as a list?

Source: runtime.md 2.5. Scalars of a mapping are typed by YAML first: `1.50` becomes `1.5`, `yes` stays `yes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ops.model.compose.values import (
    Tree,
    Value,
    as_mapping,
    as_text,
    as_texts,
    as_unique_texts,
    last_of_each_key,
    printed,
    refuse,
)


def environment_form(value: Value, where: str, variables: Mapping[str, str]) -> Tree:
    """Name -> text; a name without a value takes that of the caller's variables, or None.

    Raises: ConfigurationError.
    """
    result: dict[str, str | None] = {}
    if isinstance(value, list):
        for index, entry in enumerate(last_of_each_key(as_texts(value, where))):
            name, has_value, text = entry.partition("=")
            if not name or name != name.rstrip():
                raise refuse(f"{where}[{index}]", f"the name {name!r} is empty or ends in a space")
            result[name] = text if has_value else None
    else:
        for name, item in as_mapping(value, where).items():
            result[name] = None if item is None else printed(item, f"{where}.{name}")
    return {name: variables.get(name) if text is None else text for name, text in result.items()}


def labels_form(value: Value, where: str) -> Tree:
    """Name -> text; nothing is the empty text. Raises: ConfigurationError."""
    if isinstance(value, list):
        parts = [entry.partition("=") for entry in last_of_each_key(as_texts(value, where))]
        return {name: text for name, _, text in parts}
    return {name: _printed_or_empty(item, f"{where}.{name}") for name, item in as_mapping(value, where).items()}


def options_form(value: Value, where: str) -> Tree:
    """A mapping of texts; numbers are written out, nothing is the empty text. Raises: ConfigurationError."""
    tree = as_mapping(value, where)
    for name, item in tree.items():
        if isinstance(item, bool):
            raise refuse(f"{where}.{name}", "must be text or a number: put it in quotes")
    return {name: _printed_or_empty(item, f"{where}.{name}") for name, item in tree.items()}


def _printed_or_empty(item: Value, where: str) -> str:
    return "" if item is None else printed(item, where)


def extra_hosts_form(value: Value, where: str) -> list[Value]:
    """`host=address` texts, sorted. Raises: ConfigurationError."""
    pairs: list[tuple[str, str]] = []
    if isinstance(value, list):
        for index, entry in enumerate(as_unique_texts(value, where)):
            separator = "=" if "=" in entry else ":"
            host, has_address, addresses = entry.partition(separator)
            if not has_address:
                raise refuse(f"{where}[{index}]", f"{entry!r} is not HOST=ADDRESS")
            pairs += [(host, address) for address in addresses.split(",")]
    else:
        for host, item in as_mapping(value, where).items():
            addresses_of_host = as_texts(item, where) if isinstance(item, list) else [as_text(item or "", where)]
            pairs += [(host, address) for address in addresses_of_host]
    return list[Value](sorted(f"{_host(host, where)}={_without_brackets(address)}" for host, address in pairs))


def _host(host: str, where: str) -> str:
    if not host or ":" in host or "=" in host:
        raise refuse(where, f"{host!r} is not a host's name")
    return host


def _without_brackets(address: str) -> str:
    is_bracketed = len(address) > 2 and address[0] == "[" and address[-1] == "]"
    return address[1:-1] if is_bracketed else address
