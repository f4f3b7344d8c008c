"""Do we read YAML, interpolation, env files and project names as Compose does?"""

# ruff: noqa: E501 - one line of a table holds as many values as fit

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ops.adapters.compose_files import read_stack
from ops.errors import ConfigurationError
from tests.judge.compose import BASE_ENVIRONMENT, Refused, ask_judge, compose_file, judged, ours

ENVIRONMENT = {"SET": "value", "EMPTY": "", "A": "a", "_under": "u", "lower": "l", "DOLLAR": "$A ${A} $$A", "X1": "1"}

# fmt: off
SCALARS = """
1 0 -1 +5 012 08 0777 0o14 0O14 0x1F 0X1f -0x1F 0b11 -0b11 0b12 1_000 1__0 _1 1_ 0x_1F 1.50 1. .5 -.5 +.5 1e3 1E3 1e-7 1e+3
1.5e3 1e6 1e5 123456.7 1234567.8 1e21 1e400 -0.0 0.1 100000 99999999999999999999 18446744073709551615 9223372036854775808
-9223372036854775809 yes no on off Yes NO y n true True TRUE tRUE false False FALSE null Null NULL nULL ~ .inf .Inf .INF
-.inf +.inf .nan .NaN .NAN .iNF 22:22 1:2:3 12:30:45 a.b 1.2.3 1,000 0.0.0.0 - -- -a +a +- . .. .a =x 1a 0xg 0o9 0o 0x 0b e1
1e 1e+ 1.e5 2001-1 2001-01-01x 20010101 1-1-1 infinity NaN inf 0_1 -012 +0x1F 0.1_5 1_000.5 5e-324 1e-5 0.0001 0.00001 012.5
09.5 0o7_7 +1.5 -1e-3 1.0 10.0 3.0e0 !!str
""".split()  # noqa: SIM905 - a table

DOCUMENTS = {
    "empty": "",
    "only a comment": "# nothing\n",
    "list": "- a\n",
    "duplicate service": "services:\n  a: {image: x}\n  a: {image: y}\n",
    "duplicate key in flow": "services: {a: {image: x, image: y}}\n",
    "tab": "services:\n\ta: {image: x}\n",
    "number as key": "services: {a: {image: x, environment: {1: b}}}\n",
    "null as key": "services: {a: {image: x, environment: {~: b}}}\n",
    "boolean as key": "services: {a: {image: x, environment: {true: b}}}\n",
    "yes as key": "services: {a: {image: x, environment: {yes: b}}}\n",
    "date": "services: {a: {image: x, environment: {A: 2001-01-01}}}\n",
    "date and time": "services: {a: {image: x, environment: {A: 2001-01-01 10:00:00}}}\n",
    "quoted date": "services: {a: {image: x, environment: {A: '2001-01-01'}}}\n",
    "anchors": "x-a: &a {restart: always}\nservices: {a: {image: x, <<: *a}, b: {<<: *a, image: y, restart: 'no'}}\n",
    "merge list": "x-a: &a {user: a, tty: true}\nx-b: &b {user: b}\nservices: {a: {image: x, <<: [*a, *b]}}\n",
    "merge twice": "x-a: &a {user: a}\nservices: {a: {image: x, <<: *a, <<: *a}}\n",
    "merge a text": "services: {a: {image: x, <<: what}}\n",
    "merge inside environment": "x-e: &e {A: 1, B: 2}\nservices: {a: {image: x, environment: {<<: *e, B: 3}}}\n",
    "unknown alias": "services: {a: {image: *nope}}\n",
    "alias of a list": "x-c: &c [a, b]\nservices: {a: {image: x, command: *c}, b: {image: x, command: *c}}\n",
    "folded text": "services:\n  a:\n    image: x\n    command: >\n      echo a\n      b\n",
    "literal text": "services:\n  a:\n    image: x\n    environment:\n      A: |\n        b\n        c\n",
    "string tag": "services: {a: {image: x, environment: {A: !!str 5}}}\n",
    "unknown top key": "services: {a: {image: x}}\nwhat: 1\n",
    "x key on top": "services: {a: {image: x}}\nx-what: 1\n",
    "x key in a service": "services: {a: {image: x, x-what: {b: 1}}}\n",
    "unknown service key": "services: {a: {image: x, what: 1}}\n",
    "no services": "volumes: {a: {}}\n",
    "null services": "services:\n",
    "null service": "services: {a: }\n",
    "service name": "services: {'a b': {image: x}}\n",
    "neither image nor build": "services: {a: {command: x}}\n",
    "circle": "services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}\n",
    "itself": "services: {a: {image: x, depends_on: [a]}}\n",
    "mode and networks": "services: {a: {image: x, network_mode: host, networks: [n]}}\nnetworks: {n: }\n",
    "mode and no networks": "services: {a: {image: x, network_mode: host, networks: []}}\n",
    "undeclared volume": "services: {a: {image: x, volumes: ['nn:/x']}}\n",
    "mounted twice": "services: {a: {image: x, tmpfs: [/x], volumes: ['nn:/x']}}\nvolumes: {nn: }\n",
    "version": "version: '3.8'\nservices: {a: {image: x}}\n",
    "version as number": "version: 3.8\nservices: {a: {image: x}}\n",
    "bom": "\ufeffservices: {a: {image: x}}\n",
    "crlf": "services:\r\n  a:\r\n    image: x\r\n    command: echo\r\n",
    "document marks": "---\nservices: {a: {image: x}}\n...\n",
    "unicode": "services: {a: {image: x, environment: {A: 'é ü \\U0001F600'}}}\n",
    "escapes": 'services: {a: {image: x, environment: {A: "a\\tb\\n\\u00e9"}}}\n',
    "open quote": "services: {a: {image: 'x}}\n",
    "open brace": "services: {a: {image: x}\n",
    "colon in plain text": "services: {a: {image: x, environment: [A: b]}}\n",
    "comment after value": "services:\n  a:\n    image: x # what\n    user: a#b\n",
    "list item null": "services: {a: {image: x, command: [a, ]}}\n",
    "network named": "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {name: my-net, driver: bridge, internal: true}}\n",
    "default network changed": "services: {a: {image: x}}\nnetworks: {default: {name: other}}\n",
    "external network": "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {external: true}}\n",
    "external with driver": "services: {a: {image: x, volumes: ['nn:/a']}}\nvolumes: {nn: {external: true, driver: local}}\n",
    "network labels": "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {labels: [a=b, c]}}\n",
    "secret without source": "services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {}}\n",
    "secret with two sources": "services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {file: a, environment: B}}\n",
}

TEMPLATES = (
    """
$SET|${SET}|$UNSET|${UNSET}|${UNSET:-d}|${UNSET-d}|${EMPTY:-d}|${EMPTY-d}|${SET:-d}|${UNSET:+a}|${SET:+a}|${EMPTY:+a}|${EMPTY+a}
${UNSET+a}|${SET:?m}|${UNSET:?m}|${EMPTY:?m}|${EMPTY?m}|${UNSET?m}|${UNSET:?}|${UNSET?}|${UNSET:-${SET}}|${UNSET:-${EMPTY:-z}}
${UNSET:-$SET}|${UNSET:-a:b}|${UNSET:-a-b}|${UNSET-a:-b}|$$|$$SET|$$$SET|$${SET}|$|a$|$1|a$5.00|${1}|${SET|${SET!x}|${SET/x/y}
${}|${ SET}|${SET }|$ SET|${UNSET:-}|${UNSET:- }|${UNSET:-{}|${UNSET:-}}|${UNSET:-{x}}|${UNSET:-a}b}|${SET}}|{$SET}|{${SET}}
$SET$A|$SET-$A|${SET}${A}|$SETA|$SET_A|${DOLLAR}|$_under|${lower}|${LOWER:-n}|$SET.x|${UNSET:-${UNSET:?m}}
${SET:+${UNSET:?m}}|${UNSET:-x} ${SET:?m}|${SET:?m} ${UNSET:-y}|${UNSET:-x ${A} y} z|${UNSET-x} ${UNSET:-y}|${SET:+x ${A}}
${UNSET:-"q"}|${UNSET:-'q'}|${UNSET:-$$x}|${UNSET:-$${A}}|${UNSET:-\\$A}|\\$A|${SET:=x}|${SET=x}|${SET:x}|${SET::-x}|$[A]|$(A)
${X1}|${1X}|$X1x|${É}|$É|${UNSET:-é}|${A?b:-c}|${UNSET:?b:-c}|${A+b-c}|${UNSET:-?}|${UNSET:--}|${UNSET:-+a}|${A:-}${A:+}
""".strip()
    .replace("\n", "|")
    .split("|")
)

ENV_FILES = [
    "V=x", "V= x ", "V='x y'", 'V="x y"', "V=x # c", "V=x#c", "V='x' # c", 'V="x"# c', "# c\nV=x", "export V=x", "export  V = x",
    "V = x", "V: x", "V:x", "V=", "V=''", 'V=""', "\ufeffV=x", "V=x\r\nW=y\r\n", "V='a\nb'", 'V="a\nb"', 'V="a\\nb"', "V='a\\nb'",
    "V=a\\nb", 'V="a\\tb\\"c"', "V='it''s'", "V='x", 'V="x', "V=$A", "V=${A}", 'V="$A"', "V='$A'", "W=w\nV=$W", "V=$W\nW=w",
    "V=$$A", 'V="$$A"', 'V="\\$A"', "V=\\$A", "V=${UNSET:-d}", "V=${UNSET:?m}", "V=${A", "A=mine\nV=$A", "A=mine", "SET",
    "SET\nV=$SET", "V=a=b", "V=a b", "A B=c", "V-W=x\nV=y", "1V=x\nV=y", "V.W=x\nV=y", "V[0]=x\nV=y", "V!=x", "é=x\nV=y", "=x",
    "V=x\nV=y", "V='x'y", "V='x' y=z", 'V="\\061"', 'V="\\0101"', 'V="\\0"', 'V="\\x41"', 'V="\\\\"', "V='\\''", "V='\\\\'",
    "V=\\\\", "V='a\\'b'", 'V="$A$B"', "V=$(A)", "V=`A`", "V=~", "V=*", "   V=x", "\tV=x", "V=x\n\n\n", "\n\nV=x", 'V="a # b"',
    "V=a\\ b", "V=x # c # d", "V= # c", "V=#c", "V=# c", "V =x", "export\tV=x", "exportV=x", "V", "V='x'\nW=\"$V\"", 'V={"a": 1}',
    'V="{\\"a\\": 1}"', "V=x\\", "V='", 'V="\\', "V=\u00a0x", "V=x\u00a0", "V=x\u2003", "V=\\", "V=a\x0bb", "V=x;W=y", "V=a,b",
    "V=$", "V=a$", "V=$1", "V=${1}", "EMPTY=x\nV=${EMPTY:-d}", "V=p@ss#word", "V=p@ss #word", "V='p$a#s'", "# V=z", "V=x\n#W=y\nX=z",
]

# fmt: on

# In an env file without a line end the judge gives the last line, a bare name, to a variable without a name.
NAMELESS = ("V", "SET", "=x", "V='x'y")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    return project


def agree(folder: Path, text: str, environment: dict[str, str] | None = None) -> str:
    """Empty where both refuse or both say the same, else what each says."""
    theirs, mine = judged(folder, text, environment), ours(folder, text, environment)
    if isinstance(theirs, Refused) or isinstance(mine, Refused):
        return "" if type(theirs) is type(mine) else f"{text!r}: judge {theirs}, we {mine}"
    parts = ("name", "services", "networks")
    return "".join(
        f"{text!r}: {part}: judge {theirs.get(part)}, we {mine.get(part)}\n"
        for part in parts
        if (theirs.get(part) or {}) != (mine.get(part) or {})
    )


def is_lazy(difference: str) -> bool:
    """Whether the judge wants a variable that only an unused default names: Compose did up to 2.40, not since 5.0."""
    return "judge Refused(reason='error while interpolating" in difference and "required variable" in difference


def services_with(environment: dict[str, str]) -> str:
    return compose_file({name: {"image": "x", "environment": [f"V={text}"]} for name, text in environment.items()})


def batched_disagreements(folder: Path, templates: list[str]) -> list[str]:
    """Texts for one variable's value that are read differently; those that we take go to the judge in one file."""
    found, taken = [], {}
    for index, template in enumerate(templates):
        text = services_with({"app": template})
        if isinstance(ours(folder, text, ENVIRONMENT), Refused):
            found.append(agree(folder, text, ENVIRONMENT))
        else:
            taken[f"s{index}"] = template
    text = services_with(taken)
    if agree(folder, text, ENVIRONMENT):
        alone = [agree(folder, services_with({"app": template}), ENVIRONMENT) for template in taken.values()]
        found += [each for each in alone if not is_lazy(each)]
    return [difference for difference in found if difference]


def test_plain_scalars_have_the_values_that_compose_gives_them(folder: Path) -> None:
    lines = "".join(f"      V{index}: {scalar}\n" for index, scalar in enumerate(SCALARS))
    text = f"services:\n  app:\n    image: x\n    environment:\n{lines}"

    difference = agree(folder, text)

    assert not difference, difference


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_understood_as_compose_does_or_refused_by_both(name: str, folder: Path) -> None:
    difference = agree(folder, DOCUMENTS[name])

    assert not difference, difference


def test_templates_become_what_compose_makes_of_them(folder: Path) -> None:
    found = batched_disagreements(folder, TEMPLATES)

    assert not found, "\n".join(found)


def test_a_variable_that_only_an_unused_default_wants_is_not_missed(folder: Path) -> None:
    text = services_with({"app": "${SET:-${UNSET:?m}}", "other": "${UNSET:+${UNSET:?m}}"})

    mine = ours(folder, text, ENVIRONMENT)

    assert not isinstance(mine, Refused)
    assert mine["services"]["app"]["environment"] == {"V": "value"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "$",
                    "{",
                    "}",
                    "A",
                    "UNSET",
                    "EMPTY",
                    ":-",
                    "-",
                    ":+",
                    "+",
                    ":?",
                    "?",
                    "x",
                    " ",
                    "${",
                    "$A",
                    "${A}",
                    "1",
                ]
            ),
            max_size=9,
        ).map("".join),
        min_size=30,
        max_size=30,
    )
)
@example(["${A:-${UNSET:-{}}", "${UNSET:+}-}", "$${A}${", "${UNSET?${A}}"])
def test_any_mixture_of_dollars_and_braces_becomes_what_compose_makes_of_it(folder: Path, templates: list[str]) -> None:
    # Refused ones cost the judge one run each: a few of them are enough in one example.
    refused = [
        text for text in templates if isinstance(ours(folder, services_with({"app": text}), ENVIRONMENT), Refused)
    ]
    chosen = [text for text in templates if text not in refused] + refused[:2]

    found = batched_disagreements(folder, chosen)

    assert not found, "\n".join(found)


def read_with_dotenv(folder: Path, content: str) -> dict[str, str] | Refused:
    try:
        stack = read_stack(
            [Path("docker-compose.yml")],
            working_dir=folder,
            environment={**BASE_ENVIRONMENT, **ENVIRONMENT},
            env_file=None,
            is_strict=False,
        )
    except ConfigurationError as error:
        return Refused(error.message)
    return dict(stack.services["app"].environment)


@pytest.mark.parametrize("content", ENV_FILES)
def test_a_dotenv_file_sets_what_compose_says_it_sets(content: str, folder: Path) -> None:
    names = ["V", "W", "A", "SET", "EMPTY", "B", "X", "UNSET"]
    text = compose_file({"app": {"image": "x", "environment": [f"{name}=<${{{name}-unset}}>" for name in names]}})
    (folder / ".env").write_bytes(content.encode())

    theirs, mine = judged(folder, text, ENVIRONMENT), read_with_dotenv(folder, content)

    if isinstance(theirs, Refused) or isinstance(mine, Refused):
        assert type(theirs) is type(mine), f"judge {theirs}, we {mine}"
    else:
        assert {key: value.replace("$", "$$") for key, value in mine.items()} == theirs["services"]["app"][
            "environment"
        ]


def test_a_services_env_files_set_what_compose_says_they_set(folder: Path) -> None:
    services, differences = {}, []
    for index, content in enumerate(content for content in ENV_FILES if content not in NAMELESS):
        (folder / f"{index}.env").write_bytes(content.encode())
        service = {"image": "x", "env_file": f"{index}.env", "environment": {"B": "b", "SET": None}}
        if isinstance(ours(folder, compose_file({"app": service}), ENVIRONMENT), Refused):
            differences.append(agree(folder, compose_file({"app": service}), ENVIRONMENT))
        else:
            services[f"s{index}"] = service

    differences.append(agree(folder, compose_file(services), ENVIRONMENT))

    assert not any(differences), "\n".join(differences)


@pytest.mark.parametrize("name", ["a", "my-app", "my_app", "1a", "_a", "-a", "My App", "Foo", "é", "a.b", ""])
@pytest.mark.parametrize("where", ["environment", "dotenv", "file"])
def test_a_project_gets_the_name_that_compose_gives_it(name: str, where: str, folder: Path) -> None:
    text = compose_file({"app": {"image": "x"}}, **({"name": name} if where == "file" else {}))
    environment = {"COMPOSE_PROJECT_NAME": name} if where == "environment" else {}
    (folder / ".env").write_text(f"COMPOSE_PROJECT_NAME='{name}'\n" if where == "dotenv" else "")
    variables = environment or ({"COMPOSE_PROJECT_NAME": name} if where == "dotenv" else {})

    theirs, mine = judged(folder, text, environment), ours(folder, text, variables)

    if isinstance(theirs, Refused) or isinstance(mine, Refused):
        assert type(theirs) is type(mine), f"judge {theirs}, we {mine}"
    else:
        assert mine["name"] == theirs["name"]


@pytest.mark.parametrize("name", ["My App", "Comic.Pile", "_x", "plain", "A-b_C", "1", "é1"])
def test_a_folders_name_becomes_the_project_as_compose_makes_it(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    text = compose_file({"app": {"image": "x"}})

    assert not agree(folder, text)


@pytest.mark.parametrize("profiles", [(), ("a",), ("a", "b"), ("*",), ("none",)])
def test_profiles_switch_on_what_compose_switches_on(profiles: tuple[str, ...], folder: Path) -> None:
    text = compose_file(
        {
            "always": {"image": "x"},
            "first": {"image": "x", "profiles": ["a"]},
            "second": {
                "image": "x",
                "profiles": ["b", "c"],
                "depends_on": {"first": {"condition": "service_started", "required": False}},
            },
        }
    )

    theirs, mine = judged(folder, text, profiles=profiles), ours(folder, text, profiles=profiles)

    assert not isinstance(theirs, Refused)
    assert not isinstance(mine, Refused)
    assert set(mine["services"]) == set(theirs["services"])


def test_several_files_are_merged_as_compose_merges_them(folder: Path) -> None:
    base = {
        "image": "x",
        "command": ["a"],
        "environment": {"A": 1, "B": 2},
        "ports": ["1:1", "2:2"],
        "labels": ["a=1"],
        "volumes": ["data:/a", "./x:/x"],
        "depends_on": ["db"],
        "networks": ["front"],
        "healthcheck": {"test": "a", "retries": 3},
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
        "build": ".",
        "tmpfs": "/t",
        "env_file": "a.env",
        "extra_hosts": ["a:1.1.1.1"],
        "cap_add": ["A"],
        "expose": ["1"],
        "restart": "always",
        "profiles": ["p"],
    }
    over = {
        "command": "b c",
        "environment": ["B=3", "C=4"],
        "ports": ["2:2", "3:3"],
        "labels": {"a": 2, "b": None},
        "volumes": ["data:/b", "./y:/x"],
        "depends_on": {"cache": {"condition": "service_healthy"}},
        "networks": {"back": {"aliases": ["z"]}},
        "healthcheck": {"test": ["CMD", "b"], "interval": "3s"},
        "logging": {"options": {"max-file": "2"}},
        "build": {"context": "ctx", "args": {"A": "1"}},
        "tmpfs": ["/u"],
        "env_file": ["b.env"],
        "extra_hosts": {"b": "2.2.2.2"},
        "cap_add": ["A", "B"],
        "expose": ["2"],
        "restart": "no",
        "user": "u",
        "profiles": ["p", "q"],
    }
    others = {"db": {"image": "x"}, "cache": {"image": "x"}}
    shared = {"volumes": {"data": {"labels": {"a": "1"}}}, "networks": {"front": {}, "back": {}}}
    (folder / "one.yml").write_text(compose_file({"app": base, **others}, **shared))
    (folder / "two.yml").write_text(
        compose_file({"app": over}, volumes={"data": {"labels": ["b=2"], "driver": "local"}})
    )
    (folder / "a.env").write_text("A=from-file\nD=$SET\n")
    (folder / "b.env").write_text("E=$D\n")
    (folder / "ctx").mkdir()
    files = ("-f", "one.yml", "-f", "two.yml", "--profile", "*")

    theirs = ask_judge(folder, *files, "config", "--format", "json", environment=ENVIRONMENT)
    hashes = ask_judge(folder, *files, "config", "--hash", "*", environment=ENVIRONMENT)

    stack = read_stack(
        [Path("one.yml"), Path("two.yml")],
        working_dir=folder,
        environment={**BASE_ENVIRONMENT, **ENVIRONMENT},
        env_file=None,
        profiles=["*"],
        is_strict=False,
    )
    assert isinstance(theirs, str)
    assert isinstance(hashes, str)
    app = json.loads(theirs)["services"]["app"]
    service = stack.services["app"]
    assert list(service.command or ()) == app["command"]
    assert dict(service.environment) == app["environment"]
    assert [port.published for port in service.ports] == [port["published"] for port in app["ports"]]
    assert [mount.target for mount in service.mounts if mount.kind != "tmpfs"] == [
        mount["target"] for mount in app["volumes"]
    ]
    assert dict(service.labels) == app["labels"]
    assert {needed.service for needed in service.depends_on} == set(app["depends_on"])
    assert set(service.networks) == set(app["networks"])
    assert dict(service.log_options) == app["logging"]["options"]
    assert list(service.extra_hosts) == app["extra_hosts"]
    assert list(service.cap_add) == app["cap_add"]
    assert list(service.profiles) == app["profiles"]
    assert stack.volumes["data"].labels == json.loads(theirs)["volumes"]["data"]["labels"]
    assert stack.services["db"].config_hashes[0] == dict(line.split() for line in hashes.splitlines())["db"]
