"""Do we read the values of a service's keys as Compose reads them, and refuse what it refuses?"""

# ruff: noqa: E501 - one line of a table holds as many values as fit

from __future__ import annotations

from pathlib import Path

import pytest

from tests.judge.compose import Refused, disagreements, judged, one_service, our_model

DECLARED = {
    "volumes": {"data": None, "other": {"name": "elsewhere"}, "ab": {}},
    "networks": {"front": {}, "back": None},
    "secrets": {"s1": {"file": "./s1"}, "s2": {"environment": "S2"}},
}

# fmt: off
VALUES: dict[str, list[object]] = {
    "ports": [
        ["8000"], [8000], ["8000:80"], ["127.0.0.1:8000:80"], ["127.0.0.1::80"], ["0:80"], ["9-11"], ["3000-3002:80-82"],
        ["8000-8010:80"], ["8000-8001:80-82"], ["127.0.0.1:9000-9002:9000-9002/udp"], ["[::1]:80:80"], ["::1:80:80"],
        ["80/udp"], ["80/sctp"], ["80/UDP"], ["80/xyz"], ["80/"], ["80//"], ["80/tcp/"], ["80///6"], ["localhost:80:80"], ["65535"], ["65536"], ["0"],
        [""], [":80"], ["80:"], ["a:b"], ["80:80:80"], ["1.2.3:80:80"], ["1.2.3.4.5:80:80"], ["10-9"], ["[::1:80:80"], ["[]:80:80"], ["-1"], ["8000:80", "8000:80"], ["8000:80", "8000:80/udp"], ["80", "8000:80"],
        ["8:7", "9:7"], [{"target": 80}], [{"target": 80, "published": 8080}], [{"target": "80", "published": "8080"}],
        [{"target": 80, "published": "8080-8090"}], [{"target": 80, "host_ip": "127.0.0.1", "published": "1"}],
        [{"target": 80, "host_ip": "nowhere"}], [{"published": 80}], [{"target": 80, "mode": "host"}],
        [{"target": 80, "protocol": "udp", "name": "web", "app_protocol": "http"}], [{"target": 80, "nope": 1}],
        [{"target": "x"}], "80", [None], [True], [80.5], [[80]], [], [" 80"], ["80 "], ["+80"], ["8_0"],
        ["fe80::1%eth0:80:80"], ["127.0.0.1:80:80:80"], ["٨٠"],
    ],
    "volumes": [
        ["data:/data"], ["data:/data:ro"], ["data:/data:rw"], ["data:/data:ro,nocopy"], ["data:/data:nocopy"],
        ["./x:/x"], ["./x:/x:z"], ["./x:/x:ro,Z"], ["../x:/x:cached"], ["~/x:/x"], ["/abs:/x:rshared"], ["/anon"], ["/a"],
        [""], ["ab:/data"], ["data:/a", "data:/a"], ["data:/a/", "ab:/a"], ["data:/a/../b"], ["nope:/a"],
        ["data::/a"], [":/a"], ["data:"], ["data:/a:ro:x"], ["data:/a:what"], ["data:/a:z"], ["data:/a:"], ["~:/x"], ["/x/./y//z:/x"], ["./:/x"],
        ["other:/o"], [{"type": "volume", "source": "data", "target": "/x"}], [{"type": "volume", "target": "/x/"}],
        [{"type": "bind", "source": "./x", "target": "/x"}], [{"type": "bind", "source": "x", "target": "/x"}],
        [{"type": "bind", "source": "./x", "target": "/x", "bind": {"create_host_path": True}}],
        [{"type": "bind", "source": "./x", "target": "/x", "bind": {"create_host_path": False}}],
        [{"type": "bind", "source": "./x", "target": "/x", "bind": {"selinux": "z", "propagation": "shared"}}],
        [{"type": "bind", "source": "./x", "target": "/x", "bind": {}}], [{"type": "bind", "target": "/x"}],
        [{"type": "bind", "source": "./x", "target": "/x", "read_only": True}], [{"source": "data", "target": "/x"}],
        [{"type": "volume", "source": "data", "target": "/x", "volume": {"nocopy": True}}],
        [{"type": "volume", "source": "data", "target": "/x", "volume": {"nocopy": "yes"}, "read_only": "no"}],
        [{"type": "tmpfs", "target": "/t"}], [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": "10m", "mode": 448}}],
        [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": 4096}}], [{"type": "tmpfs", "target": "/t", "tmpfs": {}}],
        [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": "ten"}}], [{"type": "what", "target": "/t"}],
        [{"type": "volume", "source": "data"}], "data:/data", [3], [None], [],
    ],
    "environment": [
        {"A": "1"}, {"A": 1, "B": 1.5, "C": True, "D": None, "E": ""}, ["A=1", "B=", "C", "A=2"], ["A=b=c"], ["A =1"], ["A\u00a0=x"],
        {"A": [1]}, {"A": {"b": 1}}, "A=1", [1], [None], None, [], {}, ["A b=1"], {"A": 1e21, "B": 1e6, "C": 0.0001},
        {"A": 1e-5, "B": 1234567.0, "C": 123456789.25, "D": -0.0, "E": 1e300}, ["HOME", "NOWHERE"], {"HOME": None},
        {"DOLLAR": "a$$b", "PATHS": "${HOME}/x"},
    ],
    "command": [
        "echo hi", "echo 'a b' \"c d\"", "", "   ", "a\tb\nc", "a\\ b", "'a'\"b\"", "a ''", "'", '"', "a\\", "a'b'c", "\\t\\n\\x",
        "'a\\nb'", '"a\\"b"', ["a", "b c"], [], [""], None, 5, [5], [True], True, {"a": "b"}, "é ü", "a  b", '--x="y z"',
        "$$HOME", '"$$(b c)"', "'a;b|c'", "a#b # c", '"`x`"', "a=b", "[a, b]", ["$$X"],
    ],
    "entrypoint": ["a b", ["x"], "", [], None, 5],
    "healthcheck": [
        {"test": "curl -f x"}, {"test": ["CMD", "a"]}, {"test": ["CMD-SHELL", "a b"]}, {"test": ["NONE"]}, {"test": "NONE"},
        {"test": ["a"]}, {"test": []}, {"test": ""}, {"test": 5}, {"disable": True}, {"disable": "yes"}, {"disable": "perhaps"},
        {}, {"interval": "90s"}, {"interval": "1m30s", "timeout": "1h2m3.5s", "start_period": "2d"}, {"interval": "0"},
        {"interval": 90}, {"interval": "90"}, {"interval": ""}, {"interval": "-1s"}, {"interval": "1.5"}, {"interval": "1w"},
        {"interval": "100ms"}, {"interval": "1.5us"}, {"interval": "5ns"}, {"interval": ".5s"}, {"interval": "5.s"},
        {"interval": "1 s"}, {"interval": "1S"}, {"interval": "99999999999h"}, {"interval": "+3s"}, {"interval": "1h0.5m"},
        {"interval": "0s"}, {"interval": "s"}, {"interval": "-"}, {"interval": "1m-3s"}, {"retries": 3}, {"retries": "3"},
        {"retries": "three"}, {"retries": -1}, {"retries": 3.7}, {"retries": 0}, {"nope": 1}, "curl", [], None, True,
        {"interval": "0.1s"}, {"interval": "1.123456789s"}, {"interval": "1.0000000001s"}, {"interval": "1µs"},
    ],
    "depends_on": [
        ["app2"], ["app2", "app2"], [], {"app2": {"condition": "service_healthy"}}, {"app2": {"condition": "what"}},
        {"app2": {}}, {"app2": None}, {"app2": {"condition": "service_started", "restart": True, "required": False}},
        {"app2": {"condition": "service_started", "required": "yes"}}, "app2", ["nope"], {"app2": {"nope": 1}},
        {"nope": {"condition": "service_started", "required": False}},
    ],
    "expose": [["80"], [80], ["80/udp", "3000-3005"], [80, "80"], [80.5], "80", [None], []],
    "labels": [
        ["a=b", "c"], {"a": "b", "c": None, "d": 1, "e": True, "f": 1.0}, ["a=1", "a=2"], {}, [], "a=b", [1], {"a": [1]}, None,
        ["=x"], {"a": "$$x"},
    ],
    "extra_hosts": [
        ["a:1.2.3.4"], ["a=1.2.3.4"], ["z:[::1]", "b:host-gateway"], {"a": "1.2.3.4", "b": ["1.1.1.1", "2.2.2.2"]}, ["a"],
        ["a:1.1.1.1,2.2.2.2"], [":1.2.3.4"], [1], "a:1.2.3.4", ["a:::1"], ["a=::1"], [], {"a": 5},
        ["a=1", "a=2"], ["a=1", "a=1"],
    ],
    "networks": [
        ["front"], ["front", "back"], {"front": None, "back": {"aliases": ["x", "y"]}}, {"front": {}}, [], {}, ["default"],
        ["nope"], "front", ["front", "front"], {"front": {"aliases": "x"}}, {"front": {"aliases": []}}, {"front": {"no": 1}},
        {"front": {"aliases": ["x", "x"]}}, [1], {"front": []},
    ],
    "network_mode": ["host", "none", "bridge", "service:app2", "container:x", 5, ["host"]],
    "secrets": [
        ["s1"], ["s1", "s2"], [{"source": "s1", "target": "db"}], [{"source": "s1", "target": "/etc/x"}], [{"source": "s2"}],
        ["nope"], "s1", [5], ["s1", "s1"], [{"source": "s1", "nope": 1}], [],
    ],
    "logging": [
        {"driver": "json-file", "options": {"max-size": "10m", "max-file": 3}}, {"driver": "none"}, {}, {"options": {}},
        {"options": {"a": None, "b": 1.5}}, {"options": {"a": True}}, {"nope": 1}, {"driver": 5}, [], "json-file",
    ],
    "restart": ["no", "always", "unless-stopped", "on-failure", "on-failure:5", False, 5],
    "user": ["1000:1000", "app", 1000, ""],
    "container_name": ["web", "x", "", "a.b-c_d", 5],
    "hostname": ["h", 5, ""], "working_dir": ["/app", 5, ""], "stop_signal": ["SIGINT", 2], "image": ["x", "", 5, None],
    "init": [True, False, "yes", "maybe", 1], "tty": [True, False, "true", "no", 1], "read_only": [True, "off", None],
    "stdin_open": [True, "TRUE", "x"],
    "cap_add": [["NET_ADMIN"], ["A", "A"], [], "A", [1]], "cap_drop": [["ALL"]],
    "security_opt": [["no-new-privileges:true"], ["a", "a"], "a", [1], []],
    "group_add": [[1000, "audio"], ["a", "a"], "a", [True], []],
    "tmpfs": ["/run", ["/run", "/tmp:size=10m"], ["/a", "/a"], [], 5, ["/run", "/run:size=1m"]],
    "shm_size": ["128m", "1.5gb", 64, "0", "64", "1KiB", "1 g", "1x", "-1", "", "m", "1e3", "1.5.5m", "10mbb", "1b", " 1m", 0, "1  m"],
    "mem_limit": ["512m", "1.5g", 1073741824, "2T", "1p", "1e", "100B", "1kb", "1kib", "1ki", ".5g", "5.m", True, None],
    "cpus": [0.5, "0.5", 2, "2", 0.1, 1.25, "x", 0, 0.333333333, "1e-1", 1e-7, None, True],
    "pids_limit": [100, "100", -1, "x", 0, 1e2, 10.9, "1.5", "+5", None],
    "stop_grace_period": ["1m", "10s", 10, "10", "0", "1m30s", ""],
    "profiles": [["a"], ["a", "b"], "a", [], [1], ["a", "a"]],
    "pull_policy": ["always", "never", "missing", "if_not_present", "build", "sometimes", 5],
    "env_file": ["a.env", ["a.env", "b.env"], [{"path": "a.env"}], [{"path": "nope.env", "required": False}], 5, [5],
                 [{"path": "a.env", "required": "no"}], [{"required": True}], [], ["a.env", "a.env"], "./a.env"],
    "build": [".", {"context": "./ctx"}, {"context": "ctx", "dockerfile": "D", "target": "t", "args": {"A": 1, "HOME": None}},
              {"args": ["A=1", "NOWHERE", "HOME"]}, {}, None, {"nope": 1}, {"context": "/abs"}, {"args": {}}, 5],
}

STRICTER: dict[str, list[tuple[object, str]]] = {
    "command": [
        ("a | b", "Compose drops what follows"),
        ("a > b", "Compose drops what follows"),
        ("a; b", "Compose drops what follows"),
        ("a && b", "Compose drops what follows"),
        ("a $$(b)", "Compose passes it on, no shell ever sees it"),
        ("a `b`", "Compose passes it on, no shell ever sees it"),
    ],
    "environment": [(["=x"], "a variable without a name") ],
    "ports": [(["1-2-3"], "Compose drops what follows"), ([{"target": 70000}], "not a port"), ([{"target": 80, "published": "x"}], "fails at the engine"),
              ([{"target": 80, "protocol": "x"}], "fails at the engine")],
    "restart": [("sometimes", "fails at the engine")],
    "mem_limit": [(1.5, "Compose drops it without a word")],
    "pull_policy": [("daily", "ops has no notion of it"), ("every_5m", "ops has no notion of it")],
    "volumes": [
        *((value, "fails at the engine") for value in (["a"], ["d:/data"], ["data:relative"], ["."], ["./x"], ["ab:c"])),
        (["C:\\data:/x"], "fails at the engine"), (["./x:/x:nocopy"], "fails at the engine"),
        ([{"type": "bind", "source": "./x", "target": "/x", "consistency": "cached"}], "ops does not pass it on"),
        ([{"type": "volume", "source": "data", "target": "/x", "volume": {"subpath": "a"}}], "needs a newer engine"),
        ([{"type": "image", "source": "x", "target": "/x"}], "needs a newer engine"),
    ],
    "secrets": [([{"source": "s1", "mode": 0o400}], "Compose ignores it"), ([{"source": "s1", "uid": "1"}], "Compose ignores it")],
    "healthcheck": [({"start_interval": "1s"}, "refused by engines before 25")],
    "build": [("https://example.org/x.git", "a remote context")],
    "env_file": [([{"path": "a.env", "format": "raw"}], "not supported")],
}
# fmt: on


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.env").write_text("FROM_A=1\n")
    (project / "b.env").write_text("FROM_B=$FROM_A\n")
    return project


@pytest.mark.parametrize("key", VALUES)
def test_every_value_of_a_key_means_what_compose_says_or_is_refused_by_both(key: str, folder: Path) -> None:
    found = disagreements(folder, key, VALUES[key], **DECLARED)

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("key", "value", "why"), [(key, value, why) for key, cases in STRICTER.items() for value, why in cases]
)
def test_what_compose_takes_and_then_ignores_or_breaks_on_is_refused_by_us(
    key: str, value: object, why: str, folder: Path
) -> None:
    text = one_service(key, value, **DECLARED)

    assert not isinstance(judged(folder, text), Refused), why
    assert isinstance(our_model(folder, text), Refused), why
