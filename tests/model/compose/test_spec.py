from __future__ import annotations

from dataclasses import replace

from ops.model.compose.project import HealthTest, Mount, Port, Service
from ops.model.compose.spec import changed_keys, spec_digests, spec_text

SERVICE = Service(
    name="db",
    image="postgres:17",
    environment={"PASSWORD": "a secret", "A": "1"},
    ports=(Port(5432, "5432", "127.0.0.1"),),
    mounts=(Mount("volume", "/data", "data"),),
    healthcheck=HealthTest(test=("CMD", "true"), interval_s=1.5),
)


def test_keys_are_those_of_the_compose_file() -> None:
    assert set(spec_digests(SERVICE)) == {
        "image", "environment.PASSWORD", "environment.A", "ports", "volumes", "healthcheck",
    }  # fmt: skip


def test_no_value_is_in_the_label() -> None:
    assert "a secret" not in spec_text(SERVICE)


def test_the_label_does_not_depend_on_the_order_of_mappings() -> None:
    other = replace(SERVICE, environment={"A": "1", "PASSWORD": "a secret"})

    assert spec_text(other) == spec_text(SERVICE)


def test_a_key_with_its_default_is_left_out_so_that_new_keys_change_nothing() -> None:
    written_out = replace(SERVICE, read_only=False, cap_add=(), user=None)

    assert changed_keys(spec_text(SERVICE), written_out) == ()


def test_another_value_inside_a_key_is_noticed() -> None:
    slower = replace(SERVICE, healthcheck=HealthTest(test=("CMD", "true"), interval_s=2))
    read_only = replace(SERVICE, mounts=(Mount("volume", "/data", "data", read_only=True),))

    assert changed_keys(spec_text(SERVICE), slower) == ("healthcheck changed",)
    assert changed_keys(spec_text(SERVICE), read_only) == ("volumes changed",)


def test_a_label_that_cannot_be_read_says_nothing() -> None:
    assert changed_keys("not json", SERVICE) is None
    assert changed_keys("[]", SERVICE) is None
