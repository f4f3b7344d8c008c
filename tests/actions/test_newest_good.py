"""Which backup do `--latest` and `--at` mean, and what is said where none is?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops.actions.restore import RestoreRequest, newest_good
from ops.errors import BackupNotFound
from ops.model.manifest import DatabaseIdentity, Manifest
from tests.fakes.manifests import AT, FACTS, manifest
from tests.fakes.reporter import RecordingReporter

LATEST = RestoreRequest(is_latest=True)
LIVE = DatabaseIdentity("production", "postgresql", "comicpile")
FILE = {"format": "sqlite", "database": replace(FACTS, kind="sqlite", name="app.db"), "environment": "production"}


def after(hours: float, **changes: Any) -> Manifest:
    return manifest(AT + timedelta(hours=hours), **changes)


def hint(
    *manifests: Manifest, request: RestoreRequest = LATEST, live: DatabaseIdentity = LIVE, source: str = ""
) -> str:
    now = AT + timedelta(days=30)
    with pytest.raises(BackupNotFound) as failure:
        newest_good(request, manifests, (), now, RecordingReporter(), live=live, source=source)
    return str(failure.value.hint)


def test_what_is_named_instead_is_good_of_the_live_kind_and_found_where_was_looked() -> None:
    good, wrong = after(1), after(2, verified_at=None)

    assert hint(after(3, **FILE), wrong, good) == f"inv restore --file {good.id} --dry-run"
    assert hint(wrong, good, source="s3") == f"inv restore --from s3 --file {good.id} --dry-run"


def test_another_stacks_backup_is_named_with_its_stack() -> None:
    request = replace(LATEST, from_stack="theirs")

    assert hint(after(1), request=request) == f"inv restore --from-stack theirs --file {after(1).id} --dry-run"


def test_where_nothing_fits_or_own_ones_are_not_good_a_look_is_the_next_step() -> None:
    own = after(1, environment="production", verified_at=None)

    assert hint(after(3, **FILE)) == "inv backups; inv verify --all"
    assert hint(after(2), own) == "inv backups; inv verify --all"
    assert hint(after(2), own, source="s3") == "inv verify --from s3 --all"


def test_where_several_databases_may_be_meant_the_others_are_named() -> None:
    report = RecordingReporter()
    anyone = DatabaseIdentity("", "postgresql", "")

    chosen = newest_good(LATEST, [after(2), after(1, environment="production")], (), AT + timedelta(days=1), report,
                         live=anyone)  # fmt: skip

    assert chosen == after(2)
    (said,) = report.warnings
    assert said.startswith(f"{after(2).id} is of comicpile (postgresql, development)")
    assert "comicpile (postgresql, production)" in said


def test_a_thousand_newer_backups_of_another_database_are_one_line_and_counted() -> None:
    report = RecordingReporter()
    own = after(0, environment="production")

    newest_good(LATEST, [*(after(hour) for hour in range(1000, 0, -1)), own], (), AT + timedelta(days=99), report,
                live=LIVE)  # fmt: skip

    (said,) = report.warnings
    assert "and 995 more: newer, but of another database" in said
