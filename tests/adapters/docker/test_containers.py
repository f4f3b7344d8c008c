"""Do containers come, change and go as planned, and does a killed run leave nothing that trips the next one?"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from ops.errors import BuildFailed, ConfigurationError, PortTaken, Refused, UnknownService
from ops.model.stack_plan import Step

from .conftest import SLEEPER, Bench, docker, left_of

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[3]
TWO = """
  one:
    image: python:3.13-slim
    command: ["sleep", "600"]
    init: true
    stop_grace_period: 1s
    environment: {LEVEL: "LEVEL_VALUE"}
    volumes: ["data:/data", "/scratch"]
  two:
    image: python:3.13-slim
    command: ["sleep", "600"]
    init: true
    stop_grace_period: 1s
"""
VOLUMES = "volumes: {data: {}}"


def two(bench: Bench, level: str = "info"):
    return bench.write(TWO.replace("LEVEL_VALUE", level), VOLUMES)


def test_up_twice_changes_nothing_the_second_time(bench: Bench) -> None:
    stack = two(bench)
    bench.up(stack)
    before = {name: bench.status(stack, name) for name in stack.services}

    assert bench.changes(stack) == []
    bench.up(stack)

    assert {name: bench.status(stack, name) for name in stack.services} == before
    assert {status.state for status in before.values()} == {"running"}


def test_only_the_changed_service_is_replaced_and_its_volumes_stay(bench: Bench) -> None:
    stack = two(bench)
    bench.up(stack)
    before = bench.engine.observe(stack)
    name = before.services["one"].container_name
    docker("exec", name, "sh", "-c", "echo kept >/data/file; echo kept >/scratch/file")
    stack = two(bench, "debug")

    plan = bench.plan(stack)
    bench.up(stack)

    after = bench.engine.observe(stack)
    assert [(step.action, step.subject, step.reason) for step in plan if step.is_change] == [
        ("recreate", "one", "environment.LEVEL changed")
    ]
    assert after.services["two"] == before.services["two"]
    assert after.services["one"].container_id != before.services["one"].container_id
    assert after.services["one"].container_name == name
    assert after.services["one"].volumes == before.services["one"].volumes
    assert docker("exec", name, "sh", "-c", "cat /data/file /scratch/file; echo $LEVEL").split() == [
        "kept", "kept", "debug",
    ]  # fmt: skip
    assert len(left_of(bench.project)["containers"]) == 2


def test_down_keeps_volumes_and_down_with_volumes_leaves_nothing(bench: Bench) -> None:
    stack = two(bench)
    bench.up(stack)
    docker("exec", f"{bench.project}-one-1", "sh", "-c", "echo kept >/data/file")

    bench.down(stack)
    between = left_of(bench.project)
    bench.up(stack)
    content = docker("exec", f"{bench.project}-one-1", "cat", "/data/file")
    bench.down(stack, remove_volumes=True)

    assert (between["containers"], between["networks"], len(between["volumes"])) == ([], [], 1)
    assert content == "kept"
    assert left_of(bench.project) == {"containers": [], "networks": [], "volumes": []}


def test_volumes_without_a_name_stay_with_the_stack_and_go_with_its_volumes(bench: Bench) -> None:
    stack = bench.write(SLEEPER + '    volumes: ["/nameless"]\n')
    bench.up(stack)
    docker("exec", f"{bench.project}-app-1", "sh", "-c", "echo kept >/nameless/file")
    (volume,) = bench.status(stack).volumes
    stack = bench.write(SLEEPER + '    volumes: ["/nameless"]\n    environment: {A: b}\n')
    bench.up(stack)
    assert docker("exec", f"{bench.project}-app-1", "cat", "/nameless/file") == "kept"

    bench.down(stack)
    assert volume in docker("volume", "ls", "-q").split()
    bench.up(stack)
    (second,) = bench.status(stack).volumes
    bench.down(stack, remove_volumes=True)

    left = docker("volume", "ls", "-q").split()
    assert second != volume
    assert (volume in left, second in left) == (True, False)


def test_steps_may_be_carried_out_twice(bench: Bench) -> None:
    stack = two(bench)
    for step in bench.plan(stack):
        bench.engine.apply(step, stack, bench.report)
        bench.engine.apply(step, stack, bench.report)
    created = bench.status(stack, "one")
    bench.note_volumes(stack)

    for action in ("stop", "stop", "start", "start", "recreate", "remove", "remove"):
        bench.engine.apply(Step(action, "one", "test", bench.status(stack, "one").container_id), stack, bench.report)

    assert created.state == "running"
    assert bench.status(stack, "one").state == "absent"


def test_a_stopped_service_is_started_again_not_made_again(bench: Bench) -> None:
    stack = bench.write()
    bench.up(stack)
    before = bench.status(stack)
    docker("stop", "--time", "1", before.container_name)

    stopped, changes = bench.status(stack), bench.changes(stack)
    bench.up(stack)

    assert (stopped.state, changes) == ("exited", ["start app"])
    assert (bench.status(stack).container_id, bench.status(stack).state) == (before.container_id, "running")


def test_a_service_gets_all_that_the_file_says(bench: Bench) -> None:
    (bench.folder / "given.txt").write_text("given\n")
    (bench.folder / "token").write_text("t0ken\n")
    stack = bench.write(
        """
  app:
    image: python:3.13-slim
    command: ["sleep", "600"]
    init: true
    user: "65534"
    working_dir: /var
    hostname: inner
    container_name: NAME
    stop_grace_period: 3s
    stop_signal: SIGINT
    environment: {A: "1", B: "two words"}
    volumes: ["./given.txt:/given.txt:ro"]
    tmpfs: ["/scratch:size=1m"]
    secrets: [token]
    networks: {default: {}, back: {aliases: [other]}}
    labels: {mine: yes}
    restart: on-failure:2
    read_only: true
    cap_drop: [ALL]
    mem_limit: 64m
    pids_limit: 50
    cpus: 0.5
    shm_size: 8m
    extra_hosts: ["far:192.0.2.1"]
    logging: {driver: json-file, options: {max-size: 1m}}
""".replace("NAME", f"{bench.project}-special"),
        "networks: {back: {}}\nsecrets: {token: {file: ./token}}",
    )
    bench.up(stack)

    import json

    described = json.loads(docker("inspect", f"{bench.project}-special"))[0]
    host = described["HostConfig"]
    script = (
        "id -u; pwd; hostname; echo $A-$B; cat /given.txt /run/secrets/token; df -Pk /scratch | sed -n 's/ .*//;2p'"
    )
    said = docker("exec", f"{bench.project}-special", "sh", "-c", script).split("\n")

    assert said == ["65534", "/var", "inner", "1-two words", "given", "t0ken", "tmpfs"]
    assert sorted(described["NetworkSettings"]["Networks"]) == [f"{bench.project}_back", f"{bench.project}_default"]
    back = described["NetworkSettings"]["Networks"][f"{bench.project}_back"]["Aliases"]
    assert {f"{bench.project}-special", "app", "other"} <= set(back)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"], host["ShmSize"]) == (64 << 20, 5 * 10**8, 50, 8 << 20)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["ExtraHosts"]) == (True, ["ALL"], ["far:192.0.2.1"])
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert (described["Config"]["StopSignal"], described["Config"]["StopTimeout"]) == ("SIGINT", 3)
    assert described["Config"]["Labels"]["mine"] == "yes"
    assert bench.changes(stack) == []


def test_a_secret_from_a_variable_is_a_file_inside_and_nowhere_in_the_containers_description(tmp_path: Path) -> None:
    from ops.adapters.docker.engine import DockerEngine

    from .conftest import sweep

    engine = DockerEngine(environment={**os.environ, "TOKEN": "s3same-0pen"})
    bench = Bench(tmp_path, f"opstest{secrets.token_hex(4)}", engine)
    stack = bench.write(SLEEPER + "    secrets: [token]", "secrets: {token: {environment: TOKEN}}")
    try:
        bench.up(stack)
        name = f"{bench.project}-app-1"
        content = (
            docker("exec", name, "stat", "-c", "%a", "/run/secrets/token"),
            docker("exec", name, "cat", "/run/secrets/token"),
        )
        described = docker("inspect", name)
    finally:
        sweep(bench.project)
        engine.close()

    assert content == ("444", "s3same-0pen")
    assert "s3same-0pen" not in described


def test_health_probes_and_restarts_are_seen(bench: Bench) -> None:
    stack = bench.write(
        SLEEPER
        + """
    healthcheck: {test: ["CMD-SHELL", "echo not yet; exit 3"], interval: 200ms, retries: 2}
  crashing:
    image: python:3.13-slim
    command: ["sh", "-c", "sleep 0.2; exit 5"]
    restart: unless-stopped
"""
    )
    bench.up(stack)
    from .conftest import wait_for

    wait_for(lambda: bench.status(stack).health == "unhealthy", "the probes to fail")
    wait_for(lambda: bench.status(stack, "crashing").restart_count >= 2, "restarts")
    status = bench.status(stack)

    assert (status.probes[-1].exit_code, status.probes[-1].output) == (3, "not yet")
    assert bench.status(stack, "crashing").state in {"running", "restarting"}


def test_one_that_cannot_be_started_is_not_left_behind(bench: Bench) -> None:
    stack = bench.write("  app: {image: 'python:3.13-slim', command: [nonesuch]}")

    with pytest.raises(ConfigurationError) as caught:
        bench.up(stack)

    assert "nonesuch" in (caught.value.cause or "")
    assert left_of(bench.project)["containers"] == []


def test_a_missing_image_says_which_command_gets_it(bench: Bench) -> None:
    stack = bench.write("  app: {image: 'opstest.invalid/nothing:1', network_mode: none}")

    with pytest.raises(BuildFailed) as caught:
        bench.engine.apply(Step("create", "app", "test"), stack, bench.report)

    assert "inv pull" in (caught.value.hint or "")


def test_an_unknown_service_is_refused(bench: Bench) -> None:
    stack = bench.write()

    with pytest.raises(UnknownService, match="nonesuch"):
        bench.engine.status(stack, "nonesuch")
    with pytest.raises(UnknownService, match="nonesuch"):
        bench.engine.apply(Step("start", "nonesuch", "test"), stack, bench.report)


# What a killed run leaves: the engine's calls of a recreate, in order, after each of which the process may die.
CALLS = ("create_container_from_config", "stop", "remove_container", "rename", "start")


@pytest.mark.parametrize("kill_after", CALLS)
def test_a_recreate_that_was_killed_is_finished_by_the_next_one(bench: Bench, kill_after: str) -> None:
    stack = two(bench)
    bench.up(stack)
    docker("exec", f"{bench.project}-one-1", "sh", "-c", "echo kept >/data/file; echo kept >/scratch/file")
    stack = two(bench, "debug")
    script = f"""
import os, signal, sys
from pathlib import Path
from docker.api.client import APIClient
from ops.adapters.compose_files import read_stack
from ops.adapters.docker.engine import DockerEngine
from ops.model.stack_plan import plan_up
from tests.fakes.reporter import RecordingReporter

real = APIClient.{kill_after}
def and_die(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
APIClient.{kill_after} = and_die
folder = Path({str(bench.folder)!r})
stack = read_stack([folder / "docker-compose.yml"], working_dir=folder, environment={{}}, env_file=None)
engine = DockerEngine()
for step in plan_up(stack, engine.observe(stack)):
    engine.apply(step, stack, RecordingReporter())
"""
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    running = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={bench.project}",
                     "--filter", "label=com.docker.compose.service=one").split()  # fmt: skip

    bench.up(stack)

    names = docker(
        "ps", "-a", "--format", "{{.Names}}", "--filter", f"label=com.docker.compose.project={bench.project}"
    )
    assert killed.returncode == -9
    assert len(running) <= 1
    assert sorted(names.split()) == [f"{bench.project}-one-1", f"{bench.project}-two-1"]
    script = "cat /data/file /scratch/file; echo $LEVEL"
    assert docker("exec", f"{bench.project}-one-1", "sh", "-c", script).split() == [
        "kept", "kept", "debug",
    ]  # fmt: skip
    assert bench.changes(stack) == []


def half_made(bench: Bench, stack) -> str:
    """A replacement as a run leaves it that was killed before it stopped the old container."""
    name = f"{bench.status(stack).container_id[:12]}_{bench.project}-app-1"
    values = {
        "project": bench.project, "service": "app", "config-hash": "x", "oneoff": "False", "container-number": "1",
    }  # fmt: skip
    labels = [word for key, value in values.items() for word in ("--label", f"com.docker.compose.{key}={value}")]
    docker("create", "--name", name, *labels, "python:3.13-slim")
    return name


def test_down_takes_a_half_made_replacement_with_it(bench: Bench) -> None:
    stack = bench.write()
    bench.up(stack)
    half_made(bench, stack)

    bench.down(stack)

    assert left_of(bench.project)["containers"] == []


def test_down_takes_what_compose_had_scaled_up_with_it(bench: Bench) -> None:
    stack = bench.write()
    bench.up(stack)
    copy = docker("run", "-d", "--name", f"{bench.project}-app-2", *[
        word
        for key, value in bench.labels(stack).items()
        for word in ("--label", f"{key}={'2' if key.endswith('container-number') else value}")
    ], "--init", "python:3.13-slim", "sleep", "60")  # fmt: skip

    bench.down(stack)

    assert docker("ps", "-aq", "--filter", f"id={copy}") == ""
    assert left_of(bench.project)["containers"] == []


def test_up_clears_a_half_made_replacement_away_where_the_old_one_fits_again(bench: Bench) -> None:
    stack = bench.write()
    bench.up(stack)
    before = bench.status(stack)
    half_made(bench, stack)

    bench.up(stack)

    assert left_of(bench.project)["containers"] == [before.container_id[:12]]
    assert bench.status(stack).started_at == before.started_at


def test_a_port_that_a_program_has_is_refused_before_anything_is_made(bench: Bench) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        stack = bench.write(SLEEPER + f"    ports: ['127.0.0.1:{port}:80']")

        with pytest.raises(PortTaken) as caught:
            bench.up(stack)

    assert str(port) in caught.value.message
    assert f"pid {os.getpid()}" in (caught.value.cause or "")
    assert left_of(bench.project) == {"containers": [], "networks": [], "volumes": []}


def test_a_port_that_another_container_has_is_refused_with_its_name(bench: Bench) -> None:
    from tests.conftest import free_port

    port = free_port()
    owner = f"{bench.project}-stranger"
    docker("run", "-d", "--rm", "--name", owner, "-p", f"127.0.0.1:{port}:80", "python:3.13-slim", "sleep", "600")
    stack = bench.write(SLEEPER + f"    ports: ['127.0.0.1:{port}:80']")

    try:
        with pytest.raises(PortTaken) as caught:
            bench.up(stack)
    finally:
        docker("rm", "-f", owner)

    assert owner in (caught.value.cause or "")
    assert left_of(bench.project)["containers"] == []


def test_our_own_port_is_no_obstacle_to_a_replacement(bench: Bench) -> None:
    from tests.conftest import free_port

    port = free_port()
    stack = bench.write(SLEEPER + f"    ports: ['127.0.0.1:{port}:80']")
    bench.up(stack)
    stack = bench.write(SLEEPER + f"    ports: ['127.0.0.1:{port}:80']\n    environment: {{NEW: '1'}}")

    bench.up(stack)

    assert [each.published for each in bench.status(stack).ports] == [port]


def test_a_name_that_a_foreign_container_has_is_refused(bench: Bench) -> None:
    name = f"{bench.project}-taken"
    docker("create", "--name", name, "python:3.13-slim")
    stack = bench.write(SLEEPER + f"    container_name: {name}")

    try:
        with pytest.raises(Refused, match=name):
            bench.up(stack)
        still_there = docker("ps", "-aq", "--filter", f"name=^/{name}$")
    finally:
        docker("rm", "-f", name)

    assert still_there
    assert left_of(bench.project)["networks"] == []


def test_a_missing_bind_source_is_refused_and_no_folder_is_made(bench: Bench) -> None:
    (bench.folder / "nginx.conf").touch()
    stack = bench.write(SLEEPER + "    volumes: ['./nginx.conf:/etc/nginx.conf:ro']")
    (bench.folder / "nginx.conf").unlink()

    with pytest.raises(ConfigurationError, match=r"nginx\.conf"):
        bench.up(stack)

    assert not (bench.folder / "nginx.conf").exists()
    assert left_of(bench.project)["containers"] == []


def test_external_networks_and_volumes_must_be_there_and_stay(bench: Bench) -> None:
    outside = f"{bench.project}-outside"
    entry = f"{{name: {outside}, external: true}}"
    rest = f"networks: {{default: {entry}}}\nvolumes: {{vol: {entry}}}"
    stack = bench.write(SLEEPER + "    volumes: ['vol:/v']", rest)

    with pytest.raises(ConfigurationError, match="external network"):
        bench.up(stack)
    docker("network", "create", outside)
    try:
        with pytest.raises(ConfigurationError, match="external volume"):
            bench.up(stack)
        docker("volume", "create", outside)
        bench.up(stack)
        bench.down(stack, remove_volumes=True)
        left = docker("network", "ls", "-q", "--filter", f"name={outside}"), docker("volume", "ls", "-q")
    finally:
        docker("network", "rm", outside, check=False)
        docker("volume", "rm", outside, check=False)

    assert left[0]
    assert outside in left[1].split()


def test_a_volume_of_another_project_is_refused(bench: Bench) -> None:
    name = f"{bench.project}-theirs"
    docker("volume", "create", "--label", "com.docker.compose.project=somebody-else", name)
    stack = bench.write(SLEEPER + "    volumes: ['vol:/v']", f"volumes: {{vol: {{name: {name}}}}}")

    try:
        with pytest.raises(Refused, match="not this stack's"):
            bench.engine.apply(Step("create-volume", "vol", "test"), stack, bench.report)
        with pytest.raises(Refused, match="not this stack's"):
            bench.engine.apply(Step("remove-volume", "vol", "test"), stack, bench.report)
    finally:
        docker("volume", "rm", name)


def test_a_network_that_a_stranger_uses_is_not_removed(bench: Bench) -> None:
    stack = bench.write()
    bench.up(stack)
    stranger = f"{bench.project}-stranger"
    docker("run", "-d", "--name", stranger, "--network", f"{bench.project}_default", "python:3.13-slim", "sleep", "60")

    try:
        with pytest.raises(Refused, match="still in use") as caught:
            bench.down(stack)
    finally:
        docker("rm", "-f", stranger)

    assert stranger in (caught.value.cause or "")
