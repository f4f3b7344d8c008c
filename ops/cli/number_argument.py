"""What happens when a word is given where an argument takes a number?

Invoke lets Python's ValueError through as a traceback. It is a usage error like any other of Invoke's: one line, exit
code 1.
"""

from __future__ import annotations

import math
from typing import Any

from invoke.exceptions import ParseError
from invoke.parser.argument import Argument
from invoke.tasks import Task


class NumberArgument(Argument):
    """An argument of kind int or float."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take what was typed. Raises: ParseError where it is no finite number."""
        try:
            super().set_value(value, cast)
        except ValueError:
            self._refuse(value)
        if cast and not math.isfinite(self.value):
            self._refuse(value)

    def _refuse(self, value: Any) -> None:
        raise ParseError(f"--{(self.name or '').replace('_', '-')} takes a number, not {value!r}")


class OpsTask(Task[Any]):
    """A task whose number arguments are `NumberArgument`s."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """The arguments as Invoke makes them, the numbers replaced."""
        return [_strict(argument) for argument in super().get_arguments(ignore_unknown_help)]


def _strict(argument: Argument) -> Argument:
    if argument.kind not in {int, float}:
        return argument
    return NumberArgument(
        names=argument.names,
        kind=argument.kind,
        default=argument.default,
        help=argument.help,
        positional=argument.positional,
        optional=argument.optional,
        incrementable=argument.incrementable,
        attr_name=argument.attr_name,
    )
