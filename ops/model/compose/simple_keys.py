"""What do the keys of a service say that hold one value or a list of texts?

Every reader takes the value, its path for errors and what surrounds the file, and gives the value of the long
form; None leaves the key out. All raise ConfigurationError.
"""

from __future__ import annotations

import re

from ops.model.compose.durations import duration_text, parse_duration
from ops.model.compose.shell_words import split_words
from ops.model.compose.sizes import parse_size
from ops.model.compose.surroundings import Surroundings
from ops.model.compose.values import (
    Value,
    as_boolean,
    as_integer,
    as_list,
    as_text,
    as_text_or_texts,
    as_texts,
    as_unique_texts,
    last_of_each_key,
    printed,
    refuse,
    single_precision,
)

_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z", re.ASCII)
_RESTART = re.compile(r"(no|always|unless-stopped|on-failure(:[0-9]+)?)?\Z", re.ASCII)
_DECIMAL = re.compile(r"[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?\Z", re.ASCII | re.IGNORECASE)
_PULL_POLICIES = ("always", "never", "missing", "if_not_present", "build")


def text_of(value: Value, where: str, _: Surroundings) -> Value:
    """A text; an empty one is left out."""
    return as_text(value, where) or None


def boolean_of(value: Value, where: str, _: Surroundings) -> Value:
    """A boolean; false is left out."""
    return as_boolean(value, where) or None


def init_of(value: Value, where: str, _: Surroundings) -> Value:
    """A boolean where false is not the same as nothing."""
    return as_boolean(value, where)


def distinct_of(value: Value, where: str, _: Surroundings) -> Value:
    """Texts, the last of those with one key."""
    return list[Value](last_of_each_key(as_texts(value, where))) or None


def unique_of(value: Value, where: str, _: Surroundings) -> Value:
    """Texts that must all differ."""
    return list[Value](as_unique_texts(value, where)) or None


def tmpfs_of(value: Value, where: str, _: Surroundings) -> Value:
    """One path with options, or several."""
    return list[Value](last_of_each_key(as_text_or_texts(value, where))) or None


def words_of(value: Value, where: str, _: Surroundings) -> Value:
    """A command: words, or a text that is split into words; nothing keeps the image's."""
    if value is None:
        return None
    return list[Value](split_words(value, where) if isinstance(value, str) else as_texts(value, where))


def size_of(value: Value, where: str, _: Surroundings) -> Value:
    """Bytes, as decimal text; zero is left out."""
    size = parse_size(value, where)
    return str(size) if size else None


def duration_of(value: Value, where: str, _: Surroundings) -> Value:
    """A duration as Go writes it."""
    return duration_text(parse_duration(value, where))


def integer_of(value: Value, where: str, _: Surroundings) -> Value:
    """A whole number; zero is left out."""
    return as_integer(value, where) or None


def cpus_of(value: Value, where: str, _: Surroundings) -> Value:
    """A number of processors, at the precision that Compose keeps."""
    text = value if isinstance(value, str) else printed(value, where)
    if not _DECIMAL.match(text):
        raise refuse(where, f"{text!r} is not a number of processors")
    return single_precision(float(text)) or None


def expose_of(value: Value, where: str, _: Surroundings) -> Value:
    """Ports or ranges, as texts."""
    return list[Value](dict.fromkeys(as_texts(_texts_or_numbers(value, where), where))) or None


def group_add_of(value: Value, where: str, _: Surroundings) -> Value:
    """Groups by name or number, as texts."""
    return list[Value](as_unique_texts(_texts_or_numbers(value, where), where)) or None


def _texts_or_numbers(value: Value, where: str) -> list[Value]:
    is_number = [isinstance(item, int) and not isinstance(item, bool) for item in as_list(value, where)]
    return [str(item) if number else item for item, number in zip(as_list(value, where), is_number, strict=True)]


def container_name_of(value: Value, where: str, _: Surroundings) -> Value:
    """A name that the engine takes."""
    name = as_text(value, where)
    if not _CONTAINER_NAME.match(name):
        raise refuse(where, f"{name!r} is not a container's name: two characters or more of a-z A-Z 0-9 _ . -")
    return name


def restart_of(value: Value, where: str, _: Surroundings) -> Value:
    """A restart policy that the engine takes."""
    text = as_text(value, where)
    if not _RESTART.match(text):
        raise refuse(where, f"{text!r} is not one of no, always, unless-stopped, on-failure, on-failure:N")
    return text or None


def pull_policy_of(value: Value, where: str, _: Surroundings) -> Value:
    """When the image is pulled."""
    text = as_text(value, where)
    if text not in _PULL_POLICIES:
        raise refuse(where, f"{text!r} is not one of {', '.join(_PULL_POLICIES)}")
    return "missing" if text == "if_not_present" else text
