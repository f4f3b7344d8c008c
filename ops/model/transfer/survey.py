"""What of a source deserves a person's eye although it is no fault?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DateRange:
    """The lowest and the highest value of a column of moments, as they will be loaded: a year of 1704 is seen here."""

    table: str
    column: str
    lowest: str
    highest: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} is from {self.lowest} to {self.highest}"


@dataclass(frozen=True, slots=True)
class JsonNulls:
    """The two kinds of nothing in a JSON column; both stay what they are."""

    table: str
    column: str
    null_texts: int
    sql_nulls: int

    def __str__(self) -> str:
        return f"{self.table}.{self.column} has the JSON text null {self.null_texts} times, NULL {self.sql_nulls} times"


@dataclass(frozen=True, slots=True)
class TooLong:
    """A text column that holds more characters than the target takes."""

    table: str
    column: str
    longest: int
    limit: int
    values: int

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}"
        return f"{where} has up to {self.longest} characters, the target takes {self.limit}: {self.values} values"


@dataclass(frozen=True, slots=True)
class SameButForCase:
    """Values that differ in capital letters only: two for PostgreSQL, one wherever SQLite ignored case."""

    table: str
    columns: tuple[str, ...]
    is_case_ignored: bool
    """Whether the source compares one of these columns by NOCASE."""
    groups: int
    samples: tuple[str, ...]

    def __str__(self) -> str:
        where = f"{self.table}.{', '.join(self.columns)}"
        ignored = " ignores case in SQLite and will not in PostgreSQL," if self.is_case_ignored else ""
        said = f" ({', '.join(self.samples)})" if self.samples else ""
        return f"{where}{ignored} has {self.groups} groups of values that differ in case only{said}"


@dataclass(frozen=True, slots=True)
class Survey:
    """All of it."""

    dates: tuple[DateRange, ...] = ()
    json_nulls: tuple[JsonNulls, ...] = ()
    too_long: tuple[TooLong, ...] = ()
    same_but_for_case: tuple[SameButForCase, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each finding."""
        return tuple(map(str, (*self.dates, *self.json_nulls, *self.too_long, *self.same_but_for_case)))


NO_SURVEY = Survey()
