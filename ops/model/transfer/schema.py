"""Which tables and columns are on the two sides of a transfer, and how do they fit together?

The target's types decide everything: SQLite's declared types say nothing about what a column holds. A table or column
that only one side has stops the transfer; nothing is left behind silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ops.model.transfer.judgement import Judgement

Kind = Literal[
    "int", "bool", "text", "char", "float8", "float4", "numeric", "timestamptz", "timestamp", "date", "time",
    "interval", "uuid", "json", "jsonb", "bytes", "enum", "array", "other",
]  # fmt: skip
MOMENTS: frozenset[Kind] = frozenset({"timestamptz", "timestamp", "date", "time", "interval"})
VERSION_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the PostgreSQL side that takes values (generated ones do not)."""

    name: str
    kind: Kind
    type: str
    """As PostgreSQL writes it, such as `character varying(20)`."""
    is_nullable: bool = True
    size_bytes: int = 0
    """Of integers: 2, 4 or 8."""
    length: int | None = None
    """Characters that a varchar or char takes; None for any number."""
    precision: int | None = None
    scale: int | None = None
    labels: tuple[str, ...] = ()
    """An enum's."""
    element: str = ""
    """How the elements of an array are read (`arrays.ELEMENTS`)."""
    base_type: str = ""
    """As `type`, but below all domains."""
    is_cut: bool = False
    """Whether an interval keeps some of its fields only, such as `interval day to hour`."""

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest value of an integer column."""
        half = 1 << (8 * self.size_bytes - 1)
        return -half, half - 1


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of a table; its parent as `schema.table`."""

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the PostgreSQL side."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    generated: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    """Columns of the primary key and of every unique constraint or plain unique index."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    is_version: bool = False
    """Whether it is Alembic's own."""
    triggers: tuple[str, ...] = field(default=(), compare=False)
    """Those that fire; not while a transfer loads the table."""
    judgements: tuple[Judgement, ...] = field(default=(), compare=False)
    """What only the server can say about its rows."""

    @property
    def full_name(self) -> str:
        """`schema.table`, unquoted."""
        return f"{self.schema}.{self.name}"

    @property
    def shown(self) -> str:
        """What a person calls it: without `public`."""
        return self.name if self.schema == "public" else self.full_name


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table of the SQLite side."""

    name: str
    columns: tuple[str, ...]
    rows: int = 0
    generated: tuple[str, ...] = ()
    enforced_uniques: tuple[tuple[str, ...], ...] = ()
    """Columns whose uniqueness SQLite itself enforces."""
    row_id: str = "_rowid_"
    """The SQL name that tells rows apart; empty where the table has none."""
    is_version: bool = False
    """Whether it is Alembic's own."""
    key: str = ""
    """The column that is the row id itself (INTEGER PRIMARY KEY); empty where there is none."""
    declared: tuple[str, ...] = ()
    """The type that each of `columns` was declared with."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A table on both sides, with the SQLite name of each column."""

    table: Table
    source: SourceTable
    names: tuple[str, ...]
    """For each of `table.columns` the name of the column in SQLite."""

    def name_of(self, column: str) -> str:
        """The SQLite name of a column of the target."""
        return self.names[[one.name for one in self.table.columns].index(column)]

    @property
    def is_in_key_order(self) -> bool:
        """Whether the order of row ids is that of the target's primary key."""
        return bool(self.source.key) and [self.name_of(one) for one in self.table.primary_key] == [self.source.key]

    @property
    def columns(self) -> tuple[tuple[Column, str], ...]:
        """Each column with its SQLite name."""
        return tuple(zip(self.table.columns, self.names, strict=True))


def pair_up(source: Sequence[SourceTable], target: Sequence[Table]) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """Bring the tables of both sides together by name, as SQLite tells names apart (`_key`).

    Returns: the pairs, largest source first, and one sentence for each difference. The version table is no pair.
    """
    tables = {_key(table.name): table for table in target if not table.is_version}
    sources = {_key(one.name): one for one in source if not one.is_version}
    doubles = [table.shown for table in target if not table.is_version and tables[_key(table.name)] != table]
    differences = [f"two tables of the target are called {name}" for name in doubles]
    differences += [
        f"table {one.name} ({one.rows} rows) is unknown to the target"
        for key, one in sources.items()
        if key not in tables
    ]
    differences += [f"table {one.shown} is not in the source" for key, one in tables.items() if key not in sources]
    pairs = []
    for key in sources.keys() & tables.keys():
        pair, found = _pair(sources[key], tables[key])
        pairs.append(pair)
        differences += found
    return tuple(sorted(pairs, key=lambda pair: (-pair.source.rows, pair.table.full_name))), tuple(sorted(differences))


def _pair(source: SourceTable, table: Table) -> tuple[Pair, list[str]]:
    known = {_key(name): name for name in source.columns}
    columns = [column.name for column in table.columns]
    wanted = {_key(name) for name in (*columns, *table.generated)}
    missing = [name for name in columns if _key(name) not in known]
    unknown = [name for name in source.columns if _key(name) not in wanted]
    doubles = {_key(name) for name in columns if [*map(_key, columns)].count(_key(name)) > 1}
    differences = [f"several columns of {table.shown} are called {name}" for name in sorted(doubles)]
    differences += [f"column {table.shown}.{name} is not in the source" for name in missing]
    differences += [f"column {source.name}.{name} is unknown to the target" for name in unknown]
    names = tuple(known.get(_key(name), name) for name in columns)
    return Pair(table, source, names), differences


_AS_SMALL = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _key(name: str) -> str:
    """The same for names that SQLite takes for one: capitals of ASCII only, so `Ä` is not `ä`, nor `ss` an `ß`."""
    return name.translate(_AS_SMALL)


def differences_of_shape(found: Iterable[SourceTable], expected: Iterable[SourceTable]) -> tuple[str, ...]:
    """How a file's tables and columns differ from those of a revision; empty where they are the same."""
    have, want = ({_key(one.name): one for one in tables if not one.is_version} for tables in (found, expected))
    said = [f"table {have[key].name} is not in that revision" for key in have.keys() - want.keys()]
    said += [f"table {want[key].name} is missing" for key in want.keys() - have.keys()]
    for key in have.keys() & want.keys():
        mine, theirs = ({_key(name) for name in side[key].columns} for side in (have, want))
        said += [f"column {have[key].name}.{name} is not in that revision" for name in mine - theirs]
        said += [f"column {have[key].name}.{name} is missing" for name in theirs - mine]
    return tuple(sorted(said))
