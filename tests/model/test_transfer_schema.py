"""Are tables and columns of both sides brought together by the names that SQLite takes for one?"""

from __future__ import annotations

import pytest

from ops.model.transfer.schema import Column, SourceTable, Table, pair_up


def sides(source, target):
    """One table `t` with these columns on each side."""
    columns = tuple(Column(name, "text", "text") for name in target)
    return [SourceTable("t", tuple(source))], [Table("public", "t", columns)]


@pytest.mark.parametrize(
    ("source", "target", "names"),
    [
        (["A", "b"], ["a", "B"], ("A", "b")),
        (["straße", "strasse"], ["strasse", "straße"], ("strasse", "straße")),
        (["Ä", "ä"], ["ä", "Ä"], ("ä", "Ä")),
    ],
)
def test_a_column_has_the_one_of_its_name_beside_it(source, target, names):
    (pair,), differences = pair_up(*sides(source, target))

    assert pair.names == names
    assert differences == ()


def test_two_columns_that_one_would_have_to_fill_are_a_difference():
    _, differences = pair_up(*sides(["a"], ["a", "A"]))

    assert differences == ("several columns of t are called a",)


def test_tables_whose_names_differ_in_more_than_capitals_of_ascii_are_two():
    names = ["strasse", "straße"]
    source = [SourceTable(name, ("a",)) for name in names]
    target = [Table("public", name, (Column("a", "text", "text"),)) for name in names]

    pairs, differences = pair_up(source, target)

    assert differences == ()
    assert {(pair.source.name, pair.table.name) for pair in pairs} == {(name, name) for name in names}
