"""Do we and Compose agree on values that nobody thought of?

Each example puts many values to the judge in one file. Values that we refuse cost a run each, so that only some of
them are put to it; where we are stricter on purpose (see `test_values.STRICTER`) it is not asked.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.judge.compose import Refused, disagreements, one_service, our_model
from tests.judge.test_values import DECLARED

EXAMPLES = int(os.environ.get("OPS_REPEAT", "4"))
REFUSED_AT_MOST = 3
STRICTER_WORDS = ("absolute path", "Windows drive", "without a shell", "without unit", "nocopy")


def some(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


NUMBER = st.one_of(st.integers(0, 70000).map(str), some("1", "80", "65535", "65536", "0", ""))
RANGE = st.one_of(NUMBER, joined(NUMBER, some("-"), NUMBER), some("80-82", "3000-3002", "9-11"))
ADDRESS = some("127.0.0.1", "0.0.0.0", "::1", "[::1]", "10.0.0", "localhost", "256.1.1.1", "")
PORT = st.one_of(
    joined(RANGE, some("", "/tcp", "/udp", "/sctp", "/x", "/")),
    joined(RANGE, some(":"), RANGE, some("", "/udp")),
    joined(ADDRESS, some(":"), RANGE, some(":"), RANGE),
    st.text("0123456789:-/[]. ", max_size=8),
)
PATH = some("/a", "/a/b", "/a/../b", "//a", "/a/", "/", "/a/./b", "a", "/é")
SOURCE = some("data", "ab", "nope", ".", "./x", "../x", "~/x", "/abs/y", "~", "./x/../y", ".hidden", "other", "")
OPTION = some("ro", "rw", "z", "Z", "nocopy", "cached", "rshared", "what", "")
MOUNT = st.one_of(
    PATH,
    joined(SOURCE, some(":"), PATH),
    joined(SOURCE, some(":"), PATH, some(":"), st.lists(OPTION, min_size=1, max_size=3).map(",".join)),
    st.text("abdt/:.~,", max_size=8),
)
UNIT = some("ns", "us", "ms", "s", "m", "h", "d", "w", "x", "", "S")
AMOUNT = some("0", "1", "2.5", "90", ".5", "1.", "007", "1.123456789123", "", "-1", "+2", "1e3")
DURATION = st.lists(joined(AMOUNT, UNIT), min_size=1, max_size=3).map("".join)
SIZE = joined(
    some("0", "1", "1.5", "64", ".5", "2.", "1e3", "-1", "", "1 ", " 1", "1_0"),
    some("", "b", "k", "KB", "MiB", "g", "Gb", "x", "kk", " m"),
)
COMMAND = st.lists(
    some("a", "b c", "'", '"', "\\", " ", "'x y'", '"x y"', "$$A", "\n", "é", "#", "=", "\\'", '\\"', "''"), max_size=7
).map("".join)
ENTRY = st.one_of(
    joined(some("A", "B", "HOME", "C D", "E.F"), some("=", "", "=x", "=a=b", "= x", "='q'", "=$$d", " =x"))
)
GENERATED: dict[str, st.SearchStrategy[object]] = {
    "ports": st.lists(PORT, min_size=1, max_size=2),
    "volumes": st.lists(MOUNT, min_size=1, max_size=2),
    "healthcheck": DURATION.map(lambda text: {"interval": text}),
    "mem_limit": SIZE,
    "command": COMMAND,
    "environment": st.lists(ENTRY, max_size=4),
}


def is_stricter(folder: Path, key: str, value: object) -> bool:
    answer = our_model(folder, one_service(key, value, **DECLARED))
    return isinstance(answer, Refused) and any(word in answer.reason for word in STRICTER_WORDS)


def chosen(folder: Path, key: str, values: list[object]) -> list[object]:
    taken, refused = [], []
    for value in values:
        is_refused = isinstance(our_model(folder, one_service(key, value, **DECLARED)), Refused)
        (refused if is_refused else taken).append(value)
    return taken + [value for value in refused if not is_stricter(folder, key, value)][:REFUSED_AT_MOST]


@pytest.mark.parametrize("key", GENERATED)
def test_generated_values_mean_what_compose_says_or_are_refused_by_both(key: str) -> None:
    # Shrinking would ask the judge hundreds of times; the message names the one value that differs.
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(GENERATED[key], min_size=25, max_size=25))
    def agree(values: list[object]) -> None:
        with TemporaryDirectory() as place:
            folder = Path(place)
            found = disagreements(folder, key, chosen(folder, key, values), **DECLARED)

        assert not found, "\n".join(found)

    agree()
