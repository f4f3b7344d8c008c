"""Is a silent program given up where nothing can move, and not because the engine was busy for a moment?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.adapters.docker.client import Connection
from ops.adapters.docker.frozen import FrozenWatch
from ops.errors import DeadlinePassed


def test_an_engine_that_gives_no_answer_ends_a_program_after_the_limit_only(tmp_path: Path) -> None:
    watch = FrozenWatch(Connection({"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}), "db", "load the archive", 0.0)

    assert watch.keeps_on()
    with pytest.raises(DeadlinePassed, match="cannot load the archive: stalled and was ended") as failure:
        watch.keeps_on()

    assert failure.value.cause == "the engine has answered nothing for 0 s"
