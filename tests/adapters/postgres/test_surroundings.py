"""Are PostgreSQL's own texts for grants and lists read as it writes them?"""

from __future__ import annotations

import pytest

from ops.adapters.postgres.surroundings import parse_grant, split_quoted_list


@pytest.mark.parametrize(
    ("item", "grantee", "rights"),
    [
        ("joe=CTc/owner", "joe", (("C", False), ("T", False), ("c", False))),
        ("=Tc/owner", "", (("T", False), ("c", False))),
        ("joe=c*T/owner", "joe", (("c", True), ("T", False))),
        ('"a ""b"" = c"=c/"the / owner"', 'a "b" = c', (("c", False),)),
    ],
)
def test_a_grant_is_read_with_its_quotes_and_stars(item: str, grantee: str, rights: tuple) -> None:
    assert parse_grant(item) == (grantee, rights)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"$user", public', ["$user", "public"]),
        ('shop,"a ""b"", c" ,  d', ["shop", 'a "b", c', "d"]),
        ('""', [""]),
        ("", []),
    ],
)
def test_a_quoted_list_is_taken_apart(text: str, names: list[str]) -> None:
    assert list(split_quoted_list(text)) == names
