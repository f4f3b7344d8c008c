"""The heads that the revision files tell, against what Alembic itself says of the same tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from ops.adapters.revision_files import read_history

MERGE = """
'''merge

def of(two): lines'''
revision: str = 'ab_12.x'
down_revision: str | tuple[str, ...] | None = (
    "left",
    "right",  # a comment with 'quotes'
)


def upgrade():
    revision = "inner"
"""


def project(folder: Path, files: dict[str, str], *, config: str = "") -> Path:
    """A tree with these revision files (paths below the project)."""
    (folder / "alembic" / "versions").mkdir(parents=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    ini = folder / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = %(here)s/alembic\n{config}", "utf-8")
    return ini


BASE = {
    "alembic/versions/1.py": 'revision = "base"; down_revision = None\n',
    "alembic/versions/2.py": 'revision = "left"\ndown_revision = "base"\n',
    "alembic/versions/3.py": 'down_revision = ["base"]\ndef upgrade(): pass\nrevision = "right"\n',
}


@pytest.mark.parametrize(
    ("files", "config", "expected"),
    [
        (BASE, "", ("left", "right")),
        ({**BASE, "alembic/versions/4.py": MERGE}, "", ("ab_12.x",)),
        (
            {
                **BASE,
                "parts/a/4.py": MERGE,
                "parts/b/5.py": 'revision = "top"\ndown_revision = "ab_12.x"\n',
            },
            "path_separator = :\nversion_locations = %(here)s/alembic/versions:%(here)s/parts/a:%(here)s/parts/b\n",
            ("top",),
        ),
        (
            {**BASE, "alembic/versions/deep/4.py": MERGE},
            "path_separator = os\nrecursive_version_locations = true\n",
            ("ab_12.x",),
        ),
        ({**BASE, "alembic/versions/__init__.py": 'revision = "no"\n'}, "", ("left", "right")),
    ],
    ids=["branches", "merge over lines", "version_locations", "recursive", "no revision file"],
)
def test_the_heads_are_those_that_alembic_sees(
    tmp_path: Path, files: dict[str, str], config: str, expected: tuple[str, ...]
) -> None:
    ini = project(tmp_path, files, config=config)

    heads = read_history(ini).heads

    assert heads == expected
    assert heads == tuple(sorted(ScriptDirectory.from_config(Config(str(ini))).get_heads()))


@pytest.mark.parametrize(
    "text", ["revision = make()\ndown_revision = 'left'\n", "revision = 'x'\ndown_revision = (\n", "\0"]
)
def test_a_file_that_cannot_be_read_without_running_it_leaves_the_heads_untold(tmp_path: Path, text: str) -> None:
    ini = project(tmp_path, {**BASE, "alembic/versions/4.py": text})

    heads = read_history(ini).heads

    assert heads == ()


def test_locations_inside_of_packages_leave_the_heads_untold(tmp_path: Path) -> None:
    ini = project(tmp_path, BASE, config="path_separator = space\nversion_locations = somewhere:versions\n")

    heads = read_history(ini).heads

    assert heads == ()


def test_where_there_is_no_configuration_there_are_no_heads(tmp_path: Path) -> None:
    assert read_history(tmp_path / "alembic.ini") == ((), frozenset())


def test_of_five_hundred_revisions_nothing_is_parsed_but_what_stands_above_their_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "\n\ndef upgrade() -> None:\n" + "    op.add_column('t', sa.Column('c', sa.Integer()))\n" * 100
    files = {
        f"alembic/versions/{one}.py": f"revision = 'r{one}'\ndown_revision = {f'r{one - 1}' if one else None!r}\n{body}"
        for one in range(500)
    }
    ini = project(tmp_path, files)
    parse, parsed = ast.parse, []
    monkeypatch.setattr(ast, "parse", lambda text: parsed.append(text) or parse(text))

    history = read_history(ini)

    assert history == (("r499",), frozenset(f"r{one}" for one in range(500)))
    assert len(parsed) == 500
    assert not any("op.add_column" in text for text in parsed)
