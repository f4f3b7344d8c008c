from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import BuildFailed, ConfigurationError, UnknownService
from ops.model.compose.project import Build, Dependency, Mount, Network, Port, Service, Stack, Volume, image_reference
from ops.model.compose.spec import spec_text
from ops.model.engine import ServiceStatus, StackState
from ops.model.stack_plan import Step, plan_down, plan_up, plan_warnings

DB = Service(
    name="db",
    image="postgres:17",
    environment={"POSTGRES_DB": "comic", "POSTGRES_PASSWORD": "secret"},
    mounts=(Mount("volume", "/var/lib/postgresql/data", "data"),),
    networks={"default": ()},
    config_hashes=("hash-db", "hash-db-5"),
)
APP = Service(
    name="app",
    build=Build(Path("/p"), Path("/p/Dockerfile")),
    environment={"LOG": "info"},
    networks={"default": ()},
    depends_on=(Dependency("db", "service_healthy"),),
    config_hashes=("hash-app",),
)
WEB = Service(
    name="web", image="nginx", networks={"default": ()}, depends_on=(Dependency("app"),), config_hashes=("hash-web",)
)


def stack_of(*services: Service, **others: Any) -> Stack:
    return Stack(
        project="comic",
        working_dir=Path("/p"),
        files=(Path("/p/docker-compose.yml"),),
        services={service.name: service for service in services},
        networks=others.get("networks", {"default": Network("default", "comic_default", config_hash="hash-net")}),
        volumes=others.get("volumes", {"data": Volume("data", "comic_data", config_hash="hash-vol")}),
        inactive=others.get("inactive", ()),
    )


STACK = stack_of(WEB, APP, DB)


def container(service: Service, **changes: Any) -> ServiceStatus:
    status = ServiceStatus(
        service=service.name,
        state="running",
        container_id=f"id-{service.name}",
        container_name=f"comic-{service.name}-1",
        image_id=f"sha256:{service.name}",
        config_hash=service.config_hashes[0],
        spec=spec_text(service),
        networks=("comic_default",),
        volumes=("comic_data",) if service.mounts else (),
    )
    return replace(status, **changes)


def state_of(*containers: ServiceStatus, **others: Any) -> StackState:
    return StackState(
        project="comic",
        services={status.service: status for status in containers},
        networks=others.get("networks", {"comic_default": "hash-net"}),
        volumes=others.get("volumes", {"comic_data": "hash-vol"}),
        image_ids=others.get(
            "image_ids", {"postgres:17": "sha256:db", "comic-app": "sha256:app", "nginx:latest": "sha256:web"}
        ),
        orphans=others.get("orphans", ()),
    )


ALL_RUN = state_of(container(WEB), container(APP), container(DB))
NOTHING = StackState(project="comic")


def changes(steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    return [(step.action, step.subject) for step in steps if step.is_change]


def test_a_fresh_stack_is_made_in_the_order_of_its_dependencies() -> None:
    steps = plan_up(STACK, NOTHING)

    assert changes(steps) == [
        ("create-network", "default"),
        ("create-volume", "data"),
        ("pull-image", "db"),
        ("build-image", "app"),
        ("pull-image", "web"),
        ("create", "db"),
        ("create", "app"),
        ("create", "web"),
    ]


def test_a_stack_that_runs_as_declared_is_left_alone() -> None:
    steps = plan_up(STACK, ALL_RUN)

    assert changes(steps) == []
    assert {step.subject: step.reason for step in steps} == dict.fromkeys(("db", "app", "web"), "nothing changed")


def test_named_services_bring_what_they_depend_on_and_nothing_else() -> None:
    steps = plan_up(STACK, NOTHING, services=["app"])

    assert [step.subject for step in steps if step.action == "create"] == ["db", "app"]


def test_a_service_without_volumes_makes_no_volume() -> None:
    alone = stack_of(replace(WEB, depends_on=()), DB)

    steps = plan_up(alone, NOTHING, services=["web"])

    assert changes(steps) == [("create-network", "default"), ("pull-image", "web"), ("create", "web")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"environment": {"LOG": "debug"}}, "environment.LOG changed"),
        ({"environment": {"LOG": "info", "NEW": "1"}}, "environment.NEW added"),
        ({"environment": {}}, "environment.LOG removed"),
        ({"user": "1000"}, "user added"),
        ({"ports": (Port(80, "8000"),), "command": ("a",)}, "command added, ports added"),
        ({"mounts": (Mount("bind", "/x", "/p/x"),)}, "volumes added"),
        ({"mem_limit_bytes": 1024}, "mem_limit added"),
    ],
)
def test_only_the_changed_service_is_recreated_and_the_changed_key_is_named(
    change: dict[str, Any], reason: str
) -> None:
    changed = replace(APP, config_hashes=("other",), **change)

    steps = plan_up(stack_of(WEB, changed, DB), ALL_RUN)

    assert [step for step in steps if step.is_change] == [Step("recreate", "app", reason, "id-app")]


@pytest.mark.parametrize(
    "change",
    [{"depends_on": ()}, {"profiles": ("x",)}, {"pull_policy": "always"}, {"build": Build(Path("/q"), Path("/q/D"))}],
)
def test_what_shapes_no_container_recreates_none(change: dict[str, Any]) -> None:
    image = {"image_ids": {"comic-app": "sha256:app"}}

    steps = plan_up(
        stack_of(replace(APP, **change), DB), state_of(container(APP), container(DB), **image), services=["app"]
    )

    assert "recreate" not in {step.action for step in steps}


def test_a_container_that_compose_made_is_current_in_any_dialect() -> None:
    made_by_compose_5 = container(DB, spec="", config_hash="hash-db-5")

    assert changes(plan_up(stack_of(DB), state_of(made_by_compose_5))) == []


def test_a_container_of_compose_with_another_hash_is_recreated_without_naming_a_key() -> None:
    steps = plan_up(stack_of(DB), state_of(container(DB, spec="", config_hash="old")))

    assert changes(steps) == [("recreate", "db")]
    assert "docker compose" in steps[-1].reason


def test_our_own_record_counts_more_than_composes_hash() -> None:
    written_by_an_older_ops = container(DB, config_hash="a dialect that nobody knows")

    assert changes(plan_up(stack_of(DB), state_of(written_by_an_older_ops))) == []


def test_another_image_recreates() -> None:
    steps = plan_up(stack_of(DB), state_of(container(DB, image_id="sha256:older")))

    assert [(step.action, step.reason) for step in steps] == [("recreate", "image postgres:17 is another one now")]


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ({"networks": ("bridge",)}, "not attached to network default"),
        ({"volumes": ("other",)}, "volume data is not mounted"),
    ],
)
def test_a_container_that_lost_its_network_or_volume_is_recreated(lost: dict[str, Any], reason: str) -> None:
    steps = plan_up(stack_of(DB), state_of(container(DB, **lost)))

    assert [(step.action, step.reason) for step in steps] == [("recreate", reason)]


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("exited", "start"),
        ("created", "start"),
        ("running", "keep"),
        ("restarting", "keep"),
        ("paused", "start"),
        ("dead", "recreate"),
    ],
)
def test_what_is_done_to_an_unchanged_container_depends_on_its_state(state: Any, action: str) -> None:
    steps = plan_up(stack_of(DB), state_of(container(DB, state=state, exit_code=3)))

    assert [step.action for step in steps] == [action]


def test_a_service_that_ended_says_with_which_code() -> None:
    steps = plan_up(stack_of(DB), state_of(container(DB, state="exited", exit_code=137)))

    assert steps[-1].reason == "ended with exit code 137"


def test_forcing_recreates_the_named_services_but_not_what_comes_along() -> None:
    steps = plan_up(STACK, ALL_RUN, services=["app"], force_recreate=True)

    assert changes(steps) == [("recreate", "app")]


def test_forcing_without_a_name_recreates_all() -> None:
    assert changes(plan_up(STACK, ALL_RUN, force_recreate=True)) == [
        ("recreate", "db"),
        ("recreate", "app"),
        ("recreate", "web"),
    ]


def test_a_dependent_that_asks_for_it_is_stopped_before_and_started_after() -> None:
    restarted = replace(APP, depends_on=(Dependency("db", "service_healthy", is_restarted=True),))
    changed = replace(DB, user="1")

    steps = plan_up(stack_of(restarted, changed), state_of(container(APP), container(DB)))

    assert changes(steps) == [("stop", "app"), ("recreate", "db"), ("start", "app")]


def test_a_changed_volume_is_kept_and_said_so() -> None:
    drifted = state_of(container(DB), volumes={"comic_data": "another hash"})

    assert changes(plan_up(stack_of(DB), drifted)) == []
    assert any(
        "comic_data is kept as it is and will not be recreated" in text for text in plan_warnings(stack_of(DB), drifted)
    )


def test_a_changed_network_is_replaced_and_what_hangs_on_it_recreated() -> None:
    drifted = state_of(container(DB), networks={"comic_default": "another hash"})

    steps = plan_up(stack_of(DB), drifted)

    assert changes(steps) == [("remove-network", "default"), ("create-network", "default"), ("recreate", "db")]
    assert steps[-1].reason == "network default changed"


def test_a_network_without_a_hash_is_left_alone() -> None:
    assert changes(plan_up(stack_of(DB), state_of(container(DB), networks={"comic_default": ""}))) == []


def test_external_networks_and_volumes_are_neither_made_nor_removed() -> None:
    networks = {"default": Network("default", "shared", is_external=True)}
    volumes = {"data": Volume("data", "shared", is_external=True)}
    stack = stack_of(DB, networks=networks, volumes=volumes)
    there = state_of(
        container(DB, networks=("shared",), volumes=("shared",)), networks={"shared": ""}, volumes={"shared": ""}
    )

    assert ("create-network", "default") not in changes(plan_up(stack, NOTHING))
    assert changes(plan_down(stack, there, remove_volumes=True)) == [("stop", "db"), ("remove", "db")]


def test_orphans_are_named_and_removed_only_when_asked() -> None:
    orphan = ServiceStatus("old", state="exited", container_id="id-old", container_name="comic-old-1", is_orphan=True)
    state = state_of(container(DB), orphans=(orphan,))

    assert changes(plan_up(stack_of(DB), state)) == []
    assert changes(plan_up(stack_of(DB), state, remove_orphans=True)) == [("remove", "old")]
    assert any("comic-old-1" in text for text in plan_warnings(stack_of(DB), state))


def test_a_service_that_a_profile_keeps_off_is_no_orphan() -> None:
    admin = ServiceStatus("admin", state="running", container_id="id-admin", container_name="comic-admin-1")
    stack = stack_of(DB, inactive=("admin",))
    state = state_of(container(DB), orphans=(admin,))

    assert changes(plan_up(stack, state, remove_orphans=True)) == []
    assert plan_warnings(stack, state) == ()
    assert ("remove", "admin") in changes(plan_down(stack, state))


def test_asking_for_a_build_builds_what_has_one_and_for_a_pull_pulls_the_rest() -> None:
    assert changes(plan_up(STACK, ALL_RUN, build=True)) == [("build-image", "app")]
    assert changes(plan_up(STACK, ALL_RUN, pull=True)) == [("pull-image", "db"), ("pull-image", "web")]


def test_the_pull_policy_is_kept() -> None:
    never = stack_of(replace(DB, pull_policy="never"))

    with pytest.raises(BuildFailed, match="postgres:17"):
        plan_up(never, NOTHING)
    assert changes(plan_up(never, state_of(container(DB)), pull=True)) == []
    assert changes(plan_up(stack_of(replace(DB, pull_policy="always")), state_of(container(DB)))) == [
        ("pull-image", "db")
    ]


def test_an_engine_without_images_gets_no_step_about_them() -> None:
    steps = plan_up(STACK, NOTHING, left_out=["web"], is_containerised=False)

    assert changes(steps) == [("create", "db"), ("create", "app")]


def test_going_down_stops_dependents_first_and_keeps_volumes() -> None:
    assert changes(plan_down(STACK, ALL_RUN)) == [
        ("stop", "web"),
        ("remove", "web"),
        ("stop", "app"),
        ("remove", "app"),
        ("stop", "db"),
        ("remove", "db"),
        ("remove-network", "default"),
    ]


def test_volumes_go_only_when_asked() -> None:
    steps = plan_down(stack_of(DB), state_of(container(DB)), remove_volumes=True)

    assert changes(steps)[-1] == ("remove-volume", "data")


def test_volumes_without_a_name_go_with_the_others_and_the_plan_says_so() -> None:
    there = state_of(replace(container(DB), volumes=("comic_data", "f" * 64)))

    for asked, reason in ((True, "stack goes down, with its volumes without a name"), (False, "stack goes down")):
        (removal,) = (step for step in plan_down(stack_of(DB), there, remove_volumes=asked) if step.action == "remove")
        assert (removal.is_with_volumes, removal.reason) == (asked, reason)
    named = plan_down(stack_of(DB), state_of(container(DB)), remove_volumes=True)
    assert not any(step.is_with_volumes for step in named)


def test_a_network_that_an_orphan_still_uses_stays() -> None:
    orphan = ServiceStatus(
        "old", "running", container_id="o", container_name="comic-old-1", networks=("comic_default",)
    )
    state = state_of(container(DB), orphans=(orphan,))

    assert changes(plan_down(stack_of(DB), state)) == [("stop", "db"), ("remove", "db")]
    assert changes(plan_down(stack_of(DB), state, remove_orphans=True)) == [
        ("stop", "db"),
        ("remove", "db"),
        ("stop", "old"),
        ("remove", "old"),
        ("remove-network", "default"),
    ]


def test_taking_down_what_is_not_there_does_nothing() -> None:
    assert plan_down(STACK, NOTHING) == ()


def test_a_port_on_all_addresses_is_warned_of_but_not_a_web_servers() -> None:
    exposed = replace(DB, ports=(Port(5432, "5432"), Port(80, "80"), Port(81, "81", "127.0.0.1")))

    warnings = plan_warnings(stack_of(exposed), NOTHING)

    assert len(warnings) == 1
    assert "127.0.0.1:5432:5432" in warnings[0]


def test_an_unknown_service_and_one_that_is_off_are_refused_differently() -> None:
    with pytest.raises(UnknownService) as unknown:
        plan_up(STACK, NOTHING, services=["nope"])
    with pytest.raises(UnknownService) as off:
        plan_up(stack_of(DB, inactive=("admin",)), NOTHING, services=["admin"])

    assert unknown.value.cause == "it has web, app, db"
    assert off.value.cause == "a profile keeps it off"


def test_services_that_wait_for_each_other_are_refused() -> None:
    circle = stack_of(replace(DB, depends_on=(Dependency("app"),)), APP)

    with pytest.raises(ConfigurationError, match="db -> app -> db"):
        plan_up(circle, NOTHING)


def test_what_is_built_has_the_name_that_compose_gives_it() -> None:
    assert image_reference("comic", APP) == "comic-app"
    assert image_reference("comic", DB) == "postgres:17"


@given(
    st.permutations(["a", "b", "c", "d", "e"]),
    st.dictionaries(st.sampled_from("abcde"), st.sets(st.sampled_from("abcde")), max_size=5),
)
def test_every_service_starts_after_what_it_needs(order: list[str], wanted: dict[str, set[str]]) -> None:
    needs = {name: sorted(other for other in wanted.get(name, ()) if other < name) for name in order}
    services = [
        Service(name=name, image="x", depends_on=tuple(Dependency(other) for other in needs[name])) for name in order
    ]

    started = [step.subject for step in plan_up(stack_of(*services), NOTHING) if step.action == "create"]
    stopped = [
        step.subject
        for step in plan_down(stack_of(*services), state_of(*(ServiceStatus(name, "exited") for name in order)))
        if step.action == "remove"
    ]

    assert sorted(started) == sorted(order)
    assert all(started.index(other) < started.index(name) for name in order for other in needs[name])
    assert stopped == started[::-1]


def test_a_service_that_begins_with_an_empty_volume_in_place_of_its_own_is_warned_of() -> None:
    moved = replace(DB, mounts=(Mount("volume", "/var/lib/postgresql/data", "data18"),))
    stack = replace(stack_of(moved), volumes={key: Volume(key, f"comic_{key}", "hash-v") for key in ("data", "data18")})
    state = StackState(
        "comic", {"db": ServiceStatus("db", "running", volumes=("comic_data",))}, volumes={"comic_data": ""}
    )

    assert any("new, empty volume comic_data18; comic_data stays" in text for text in plan_warnings(stack, state))
    filled = replace(state, volumes={"comic_data": "", "comic_data18": ""})
    assert not any("empty volume" in text for text in plan_warnings(stack, filled))
