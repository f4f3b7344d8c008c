"""Does docs/faults.md name every case once, and only tests that exist?"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def functions_of(file: str) -> frozenset[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def cases() -> dict[int, str]:
    parts = re.split(r"^\*\*(\d+)\. ", TEXT.partition("## What these tests found")[0], flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_all_25_cases_are_there_in_order() -> None:
    assert list(cases()) == list(range(1, 26))


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(TEXT)

    assert len(named) > 60
    assert [f"{file}::{test}" for file, test in named if test not in functions_of(file)] == []


def test_what_looks_like_a_test_is_one_that_is_checked() -> None:
    assert len(re.findall(r"tests/\S+::", TEXT)) == len(NAMED.findall(TEXT))


def test_a_case_names_a_test_or_says_that_it_has_none() -> None:
    for number, text in cases().items():
        assert NAMED.search(text) or "not covered" in text, f"case {number}"
