"""Is a JSON object what it should be, and if not, where exactly is it wrong?

`Fields` reads one object by key and says the path of whatever is missing or of another type
(`database.size_bytes`). It knows nothing of what the object means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import TypeVar

Word = TypeVar("Word", bound=str)
Item = TypeVar("Item")


class FieldError(ValueError):
    """A field is missing or not what it should be; the text starts with its path."""


class Fields:
    """One JSON object, read key by key.

    Args:
        values: what `json.loads` gave.
        path: where it stands in the document, "" for the document itself.
    """

    __slots__ = ("_path", "_values")

    def __init__(self, values: object, path: str = "") -> None:
        if not isinstance(values, dict):
            raise FieldError(f"{path or 'the document'}: an object is wanted, not {_kind(values)}")
        self._values: Mapping[str, object] = values
        self._path = path

    def path(self, key: str) -> str:
        """`database.name` for the key `name` of `database`."""
        return f"{self._path}.{key}" if self._path else key

    def text(self, key: str) -> str:
        """A text."""
        value = self._values.get(key)
        if type(value) is not str:
            raise self._wrong(key, "a text")
        return value

    def several_texts(self, *keys: str) -> Sequence[str]:
        """A text of each key, in their order: one call, because a catalog reads a quarter of a million texts."""
        values = self._values
        found = [value for key in keys if type(value := values.get(key)) is str]
        return found if len(found) == len(keys) else [self.text(key) for key in keys]

    def text_like(self, key: str, is_right: Callable[[str], object]) -> str:
        """A text of the right form."""
        value = self._values.get(key)
        if type(value) is not str or not is_right(value):
            raise FieldError(f"{self.path(key)}: {self.text(key)[:80]!r} has not the right form")
        return value

    def optional_text(self, key: str) -> str | None:
        """A text or null."""
        return None if self._is_null(key) else self.text(key)

    def word(self, key: str, allowed: Mapping[str, Word]) -> Word:
        """One of the allowed words."""
        value = self._values.get(key)
        if type(value) is not str or value not in allowed:
            raise self._wrong(key, f"one of {', '.join(allowed)}")
        return allowed[value]

    def integer(self, key: str, *, at_least: int | None = 0) -> int:
        """A whole number, not below `at_least`."""
        value = self._values.get(key)
        if type(value) is not int or (at_least is not None and value < at_least):
            raise self._wrong(key, "a whole number" if at_least is None else f"a whole number from {at_least} on")
        return value

    def number(self, key: str) -> float:
        """A number, not negative."""
        value = self._values.get(key)
        if (type(value) is not int and type(value) is not float) or not value >= 0:
            raise self._wrong(key, "a number from 0 on")
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._values.get(key)
        if type(value) is not bool:
            raise self._wrong(key, "true or false")
        return value

    def time(self, key: str) -> datetime:
        """A time with its zone, in ISO 8601."""
        value = self._values.get(key)
        if type(value) is str:
            try:
                found = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                if found.tzinfo is not None:
                    return found
        raise self._wrong(key, "a time with its zone")

    def optional_time(self, key: str) -> datetime | None:
        """A time with its zone, or null."""
        return None if self._is_null(key) else self.time(key)

    def child(self, key: str) -> Fields:
        """An object within this one."""
        return Fields(self._values.get(key), self.path(key))

    def optional_child(self, key: str) -> Fields | None:
        """An object or null."""
        return None if self._is_null(key) else self.child(key)

    def items(self, key: str) -> Sequence[object]:
        """A list of anything."""
        value = self._values.get(key)
        if type(value) is not list:
            raise self._wrong(key, "a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self.items(key)
        if not found:
            return ()
        texts = tuple([item for item in found if type(item) is str])
        if len(texts) < len(found):
            raise self._wrong(key, "a list of texts")
        return texts

    def objects(self, key: str, read: Callable[[Fields], Item]) -> tuple[Item, ...]:
        """A list of objects, each read by `read`."""
        found = self.items(key)
        if not found:
            return ()
        path = self.path(key)
        return tuple([read(Fields(item, f"{path}[{position}]")) for position, item in enumerate(found)])

    def text_map(self, key: str) -> dict[str, str]:
        """An object whose values are texts."""
        value = self._values.get(key)
        if type(value) is not dict or not all(type(item) is str for item in value.values()):
            raise self._wrong(key, "an object of texts")
        return dict(value)

    def refuse_others(self, known: AbstractSet[str]) -> None:
        """Raise for the first key that is not known; all the known ones were read, so more keys are other keys."""
        if len(self._values) > len(known):
            unknown = next(key for key in self._values if key not in known)
            raise FieldError(f"{self.path(unknown)}: an unknown key")

    def _is_null(self, key: str) -> bool:
        return self._values.get(key, key) is None

    def _wrong(self, key: str, wanted: str) -> FieldError:
        if key not in self._values:
            return FieldError(f"{self.path(key)}: missing")
        return FieldError(f"{self.path(key)}: {wanted} is wanted, not {_kind(self._values[key])}")


def _kind(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]
