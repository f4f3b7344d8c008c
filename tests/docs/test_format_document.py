"""Does docs/format.md name exactly the keys that a manifest has?"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ops.model.manifest_json import to_json
from tests.fakes.manifests import manifest

DOCUMENT = Path(__file__).parents[2] / "docs" / "format.md"


def test_every_key_of_a_manifest_is_described_and_no_other() -> None:
    made = json.loads(to_json(manifest()))
    real = {key for key in made if key not in {"archive", "database"}}
    real |= {f"{part}.{key}" for part in ("archive", "database") for key in made[part]}
    table = DOCUMENT.read_text(encoding="utf-8").split("## The manifest")[1].split("## Counts")[0]

    described = [
        key
        for row in re.findall(r"^\| (`[^|]+`) \|", table, flags=re.MULTILINE)
        for key in re.findall(r"`([^`]+)`", row)
    ]

    assert sorted(described) == sorted(real)
    assert f"`version` is `{made['version']}`" in table
