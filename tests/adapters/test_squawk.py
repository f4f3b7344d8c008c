"""Does squawk's verdict come beside ours, without saying anything twice?"""

from __future__ import annotations

from pathlib import Path

from ops.adapters.squawk import best_lint, find_squawk, lint_with_squawk
from ops.model.sql_lint import lint

SQL = """BEGIN;

ALTER TABLE users DROP COLUMN name;

CREATE INDEX ix ON users (id);

ALTER TABLE users ALTER COLUMN age DROP NOT NULL;

UPDATE alembic_version SET version_num='b' WHERE alembic_version.version_num = 'a';

COMMIT;
"""


def test_squawk_adds_what_our_core_does_not_know_and_repeats_nothing():
    findings = best_lint()(SQL)

    assert [(finding.source, finding.rule, finding.line) for finding in findings] == [
        ("ops", "ban-drop-column", 3),
        ("ops", "require-concurrent-index-creation", 5),
        ("squawk", "ban-drop-not-null", 7),
    ]
    assert findings[: len(lint(SQL))] == lint(SQL)


def test_sql_without_a_fault_has_no_findings():
    assert best_lint()("BEGIN;\nCREATE TABLE t (id bigint PRIMARY KEY);\nCOMMIT;\n") == ()


def test_sql_that_squawk_cannot_parse_is_a_finding_and_no_failure():
    findings = best_lint()("CREATE TABLE (")

    assert {(finding.source, finding.rule) for finding in findings} == {("squawk", "syntax-error")}


def test_a_squawk_that_is_no_program_is_a_finding_beside_ours(tmp_path):
    broken = tmp_path / "squawk"
    broken.write_text("#!/bin/sh\necho not json\n")
    broken.chmod(0o755)

    for program in (broken, Path("/nowhere/squawk")):
        *own, failed = lint_with_squawk(program)("DROP TABLE t")

        assert [finding.rule for finding in own] == ["ban-drop-table"]
        assert failed.rule == "squawk-failed"


def test_the_installed_squawk_is_found():
    assert find_squawk() is not None
