"""Are off-site targets read strictly, and judged as they are?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops.errors import ConfigurationError
from ops.model.offsite import judge_offsite, parse_targets
from tests.fakes.manifests import AT, manifest

S3 = {"kind": "s3", "bucket": "b", "prefix": "/a/b/", "endpoint-url": "http://127.0.0.1:1", "region": "r"}


def test_one_table_is_one_target_called_like_its_kind_and_tables_are_targets_by_name() -> None:
    (one,) = parse_targets(S3)
    both = parse_targets({"near": {"kind": "folder", "path": "/mnt/x"}, "far": {**S3, "retention": {"keep-last": 2}}})

    assert (one.name, one.bucket, one.prefix, one.endpoint_url, one.region) == (
        "s3",
        "b",
        "a/b",
        S3["endpoint-url"],
        "r",
    )
    assert [(target.name, target.kind) for target in both] == [("near", "folder"), ("far", "s3")]
    assert both[1].retention == {"keep-last": 2}
    assert parse_targets({}) == ()


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"kind": "ftp"}, "kind is missing or wrong"),
        ({"kind": "s3"}, "bucket is missing"),
        ({"kind": "folder", "bucket": "b"}, "path is missing"),
        ({**S3, "secret": "x"}, "unknown key"),
        ({**S3, "region": 3}, "region is 3"),
        ({"far": "s3"}, "far is"),
        ({"far": {"bucket": "b"}}, "kind is missing"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(table, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse_targets(table)


def test_the_judgement_follows_what_is_there() -> None:
    new, old = manifest(AT), manifest(AT - timedelta(days=1))

    assert judge_offsite("s3", (), (), (), ()).level == "ok"
    assert judge_offsite("s3", (new,), (), (new,), ()).level == "critical"
    assert judge_offsite("s3", (new, old), (old,), (new,), ()).level == "warning"
    assert judge_offsite("s3", (new,), (new,), (), ("x: odd",)).level == "warning"
    assert judge_offsite("s3", (new,), (new,), (), ()).level == "ok"
