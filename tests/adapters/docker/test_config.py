"""Does a service become the request that Compose would send, without an engine being asked?"""

from __future__ import annotations

from pathlib import Path

from ops.adapters.docker.container_config import Placement, creation, endpoints, one_off
from ops.adapters.docker.status import is_temporary, moment
from ops.model.compose.project import HealthTest, Mount, Network, Port, Service, Stack, Volume


def made(**keys):
    service = Service("app", image="i", networks={"default": ()}, **keys)
    stack = Stack(
        "p", Path("/w"), (Path("/w/docker-compose.yml"),), {"app": service},
        networks={"default": Network("default", "p_default"), "back": Network("back", "other-name")},
        volumes={"data": Volume("data", "named")},
    )  # fmt: skip
    return creation(stack, service, Placement("sha256:1")), stack, service


def test_what_the_file_does_not_say_is_left_to_the_image() -> None:
    body, _, _ = made()

    for key in ("Cmd", "Entrypoint", "User", "WorkingDir", "Hostname", "Healthcheck", "StopSignal", "StopTimeout"):
        assert key not in body


def test_an_empty_command_clears_the_images_and_is_not_left_out() -> None:
    body, _, _ = made(command=(), entrypoint=())

    assert (body["Cmd"], body["Entrypoint"]) == ([], [])


def test_ports_keep_ranges_addresses_and_protocols() -> None:
    body, _, _ = made(
        ports=(Port(80, "8000-8010"), Port(53, "53", "127.0.0.1", "udp"), Port(81)), expose=("90", "91/udp")
    )

    assert body["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        "81/tcp": [{"HostIp": "", "HostPort": ""}],
    }
    assert list(body["ExposedPorts"]) == ["80/tcp", "53/udp", "81/tcp", "90/tcp", "91/udp"]


def test_mounts_of_every_kind_find_their_place() -> None:
    body, _, _ = made(
        mounts=(
            Mount("volume", "/data", "data"),
            Mount("bind", "/conf", "/w/conf", read_only=True),
            Mount("bind", "/strict", "/w/strict", create_host_path=False),
            Mount("volume", "/anonymous"),
            Mount("tmpfs", "/tmp", options=("size=1m",)),
        )
    )

    assert body["HostConfig"]["Binds"] == ["named:/data:rw", "/w/conf:/conf:ro"]
    assert body["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": "/w/strict", "Target": "/strict", "ReadOnly": False}
    ]
    assert body["Volumes"] == {"/anonymous": {}}
    assert body["HostConfig"]["Tmpfs"] == {"/tmp": "size=1m"}


def test_a_health_check_is_in_nanoseconds_and_may_inherit_its_test() -> None:
    body, _, _ = made(healthcheck=HealthTest(None, interval_s=1.5, retries=3))

    assert body["Healthcheck"] == {"Interval": 1_500_000_000, "Retries": 3}


def test_inherited_volumes_are_not_made_anew() -> None:
    _, stack, service = made(mounts=(Mount("volume", "/anonymous"),))

    body = creation(stack, service, Placement("sha256:1", inherited={"/anonymous": "f" * 64}))

    assert body["HostConfig"]["Binds"] == [f"{'f' * 64}:/anonymous:rw"]
    assert body["Volumes"] == {}


def test_a_one_off_publishes_nothing_and_answers_to_no_name() -> None:
    _, stack, service = made(ports=(Port(80, "80"),), restart="always")

    body = one_off(stack, service, Placement("sha256:1"), ["true"], "f" * 64)

    assert body["HostConfig"]["PortBindings"] == {}
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"p_default": {}}}
    assert body["Labels"]["com.docker.compose.oneoff"] == "True"


def test_a_network_mode_leaves_the_stacks_networks_out() -> None:
    body, stack, service = made(network_mode="host")

    assert endpoints(stack, service) == {}
    assert (body["HostConfig"]["NetworkMode"], "NetworkingConfig" in body) == ("host", False)


def test_temporary_names_are_told_from_others() -> None:
    assert is_temporary("0123456789ab_p-app-1", "p-app-1")
    assert not is_temporary("p-app-1", "p-app-1")
    assert not is_temporary("my_p-app-1", "p-app-1")


def test_the_engines_times_are_read_to_the_microsecond() -> None:
    assert str(moment("2026-11-22T13:09:25.896506123Z")) == "2026-11-22 13:09:25.896506+00:00"
    assert str(moment("2026-11-22T13:09:25Z")) == "2026-11-22 13:09:25+00:00"
    assert moment("0001-01-01T00:00:00Z") is None
