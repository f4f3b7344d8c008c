"""Which stack do the compose files on this disk describe?

Reads the files that the pure loader asks for - compose files, `.env`, env files - and refuses what is missing
before an engine would turn it into an empty folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ops.errors import ConfigurationError
from ops.model.compose.dotenv import parse_dotenv
from ops.model.compose.interpolation import Missing
from ops.model.compose.load import ComposeText, load_stack
from ops.model.compose.project import Stack

DOTENV = ".env"


def read_stack(
    files: Sequence[Path],
    *,
    working_dir: Path,
    environment: Mapping[str, str],
    env_file: Path | None,
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    project: str | None = None,
    is_strict: bool = True,
) -> Stack:
    """Read a stack.

    Args:
        files: compose files, relative to `working_dir` or absolute; the later ones win.
        working_dir: the project's folder; relative paths in the files start here.
        environment: the variables of this process; they win over those of the env file.
        env_file: what Compose takes as `--env-file`. None is `.env` in `working_dir`. A file named `.env` may be
            missing, any other may not.
        profiles: profiles to switch on; without any, `COMPOSE_PROFILES` counts.
        services: services whose profiles are switched on too, as naming them to Compose does.
        project: the project's name, where the caller decides it.
        is_strict: refuse unset variables, and files of the host that a service mounts and that do not exist. Tasks
            that only look or take down (`ps`, `logs`, `down`) pass False.

    Raises: ConfigurationError (also for a profile that no service has), UnknownService (a name in `services` that is
        not in the file).
    """
    folder = working_dir.resolve()
    missing: list[Missing] = []
    variables = _variables(folder / (env_file or DOTENV), environment, missing)
    texts = [_compose_text(folder / file) for file in files]
    load = partial(load_stack, texts, working_dir=folder, variables=variables, read_text=_text_or_none, project=project)
    stack = load(profiles=profiles, services=services, is_strict=is_strict, missing=missing)
    for profile in profiles:
        if profile != "*" and profile not in _profiles(stack):
            known = ", ".join(_profiles(load(profiles=["*"], is_strict=False))) or "none"
            raise ConfigurationError(
                f"no service has the profile {profile!r}", cause=f"the profiles are: {known}", hint="inv config"
            )
    if is_strict and (problems := missing_host_files(stack)):
        raise ConfigurationError(
            f"{len(problems)} path(s) that the stack mounts do not exist",
            cause="; ".join(problems),
            hint="create them, or correct the paths in the compose file",
        )
    return stack


def _profiles(stack: Stack) -> tuple[str, ...]:
    return tuple(dict.fromkeys(profile for service in stack.services.values() for profile in service.profiles))


def passed_over(file: Path, variables: Mapping[str, str]) -> tuple[str, ...]:
    """What Compose would read beside or instead of the one compose file, one sentence each; we do not.

    Source: https://docs.docker.com/compose/how-tos/multiple-compose-files/merge/ and .../environment-variables/envvars/
    """
    instead = f"only {file.name} is, which [tool.ops] names"
    found = []
    if (named := variables.get("COMPOSE_FILE", "")) and Path(named).name != file.name:
        found.append(f"COMPOSE_FILE={named} is not read: {instead}")
    beside = [file.with_name(f"{file.stem}.override{suffix}") for suffix in (".yml", ".yaml")]
    return (*found, *(f"{one.name} is not read: {instead}" for one in beside if one.is_file()))


def missing_host_files(stack: Stack) -> tuple[str, ...]:
    """Files of this machine that services mount and that are not there, one sentence each.

    A missing folder is no problem where the engine may make it. A path that looks like a file is one, since the
    engine would make a folder of that name.
    """
    problems: list[str] = []
    for service in stack.services.values():
        for mount in service.mounts:
            if mount.kind == "bind" and mount.source is not None:
                source = Path(mount.source)
                if not source.exists() and (not mount.create_host_path or _looks_like_a_file(source)):
                    problems.append(f"services.{service.name}.volumes: {source}")
    problems += [
        f"secrets.{secret.name}.file: {secret.file}"
        for secret in stack.secrets.values()
        if secret.file is not None and not secret.file.is_file()
    ]
    return tuple(problems)


def _looks_like_a_file(path: Path) -> bool:
    return path.suffix not in ("", ".d") or (path.name.startswith(".") and "env" in path.name)


def _variables(env_file: Path, environment: Mapping[str, str], missing: list[Missing]) -> dict[str, str]:
    text = _text_or_none(str(env_file))
    if text is None:
        if env_file.name != DOTENV:
            raise ConfigurationError(f"the env file {env_file} does not exist", hint=f"cp .env.example {env_file.name}")
        return dict(environment)
    of_file = parse_dotenv(text, source=env_file.name, lookup=environment.get, missing=missing)
    return {**of_file, **environment}


def _compose_text(path: Path) -> ComposeText:
    text = _text_or_none(str(path))
    if text is None:
        raise ConfigurationError(
            f"the compose file {path} does not exist", hint="name it under [tool.ops] in pyproject.toml"
        )
    return ComposeText(path, text)


def _text_or_none(path: str) -> str | None:
    try:
        return Path(path).read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", cause=error.strerror) from error
