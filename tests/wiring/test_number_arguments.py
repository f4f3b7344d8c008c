"""What does a person see who types a word where a task takes a number?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INV = Path(sys.executable).with_name("inv")


@pytest.mark.parametrize(
    "words",
    [("up", "--timeout", "soon"), ("logs", "--tail", "1x"), ("backup", "--lock-wait", "nan")],
    ids=lambda words: words[0],
)
def test_a_word_for_a_number_is_a_usage_error_in_one_line(words: tuple[str, ...]) -> None:
    done = subprocess.run([INV, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    assert done.returncode == 1
    assert done.stderr == f"{words[1]} takes a number, not {words[2]!r}\n"
    assert done.stdout == ""
