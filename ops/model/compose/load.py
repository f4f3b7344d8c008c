"""What stack do these compose files describe?

Text in, a resolved `Stack` out: parse, interpolate, merge, long form, profiles, checks, env files, hashes. Reading
files is the caller's; env files are asked for through a function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.errors import UnknownService
from ops.model.compose import schema
from ops.model.compose.consistency import check_services
from ops.model.compose.env_files import ReadText, with_env_files
from ops.model.compose.interpolation import Interpolation, Missing
from ops.model.compose.merge import merge_files
from ops.model.compose.missing import refuse_missing
from ops.model.compose.project import Stack
from ops.model.compose.project_name import choose_project_name
from ops.model.compose.resolve import resolve_network, resolve_secret, resolve_service, resolve_volume
from ops.model.compose.resource_form import network_form, secret_form, volume_form
from ops.model.compose.service_form import service_form
from ops.model.compose.surroundings import Folders, Surroundings
from ops.model.compose.values import Tree, Value, as_mapping, as_text, refuse
from ops.model.compose.yaml_text import parse_yaml

_KEY = re.compile(r"[a-zA-Z0-9._-]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ComposeText:
    """One compose file: its absolute path and its text."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Model:
    """All of a stack in Compose's long form, what `docker compose config --format json` shows."""

    project: str
    services: Mapping[str, Tree]
    """Active services, env files not yet merged in."""
    inactive: tuple[str, ...]
    networks: Mapping[str, Tree]
    volumes: Mapping[str, Tree]
    secrets: Mapping[str, Tree]
    variables: Mapping[str, str] = field(repr=False)
    missing: tuple[Missing, ...] = ()


def load_stack(
    sources: Sequence[ComposeText],
    *,
    working_dir: Path,
    variables: Mapping[str, str],
    read_text: ReadText,
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    project: str | None = None,
    is_strict: bool = True,
    missing: Sequence[Missing] = (),
) -> Stack:
    """Make a stack of compose files.

    Args:
        sources: at least one; the later ones win.
        working_dir: absolute; what relative paths are relative to, and the source of the project's name.
        variables: the environment, with `.env` merged in under it.
        read_text: reads env files.
        profiles: profiles to switch on; without any, `COMPOSE_PROFILES` counts. `*` is all.
        services: services whose profiles are switched on too.
        project: the project's name, where the caller decides it.
        is_strict: refuse variables that are unset and have no default, all at once.
        missing: variables that `.env` itself missed.

    Raises: ConfigurationError, UnknownService (a name in `services` that is not in the file).
    """
    model = load_model(
        sources,
        working_dir=working_dir,
        variables=variables,
        profiles=profiles,
        services=services,
        project=project,
        is_strict=is_strict,
        missing=missing,
    )
    lacking = list(model.missing)
    forms = resolved_services(model, read_text, lacking)
    refuse_missing(lacking, is_strict=is_strict)
    used = _used_resources(forms)
    return Stack(
        project=model.project,
        working_dir=working_dir,
        files=tuple(source.path for source in sources),
        services={name: resolve_service(name, form) for name, form in forms.items()},
        networks={key: resolve_network(key, model.networks[key]) for key in model.networks if key in used["networks"]},
        volumes={key: resolve_volume(key, model.volumes[key]) for key in model.volumes if key in used["volumes"]},
        secrets={key: resolve_secret(key, model.secrets[key]) for key in model.secrets if key in used["secrets"]},
        inactive=model.inactive,
        unset_variables=tuple(dict.fromkeys(item.name for item in lacking)),
    )


def resolved_services(model: Model, read_text: ReadText, missing: list[Missing]) -> dict[str, Tree]:
    """The long forms that containers are made of and config hashes are taken of: env files merged in.

    Variables that env files miss are added to `missing`. Raises: ConfigurationError (an env file is not there).
    """
    return {
        name: with_env_files(_without_inactive(form, model), model.variables, read_text, missing)
        for name, form in model.services.items()
    }


def load_model(
    sources: Sequence[ComposeText],
    *,
    working_dir: Path,
    variables: Mapping[str, str],
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    project: str | None = None,
    is_strict: bool = False,
    missing: Sequence[Missing] = (),
) -> Model:
    """The long form of a stack, before env files; arguments as for `load_stack`.

    Raises: ConfigurationError, UnknownService.
    """
    trees = [parse_yaml(source.text, source.path.name) for source in sources]
    lacking = list(missing)
    in_file = _file_name(trees, variables, lacking)
    name = choose_project_name(
        asked=project,
        from_environment=variables.get("COMPOSE_PROJECT_NAME"),
        in_file=in_file,
        folder=working_dir.name,
    )
    known = {**variables, "COMPOSE_PROJECT_NAME": name}
    interpolation = Interpolation(known.get, lacking)
    merged: Tree = {}
    for tree in trees:
        schema.check_keys(tree, schema.TOP_KEYS, "", is_open=True)
        as_text(tree.get("version", ""), "version")
        body: Tree = {key: value for key, value in tree.items() if key not in ("name", "version")}
        merged = merge_files(merged, interpolation.tree(body))
    # Before anything else: what is blank for want of a variable would be refused for another reason.
    refuse_missing(lacking, is_strict=is_strict)
    return _model(
        name, merged, working_dir=working_dir, variables=known, profiles=profiles, services=services, missing=lacking
    )


def _file_name(trees: Sequence[Tree], variables: Mapping[str, str], missing: list[Missing]) -> str | None:
    written = [text for tree in trees if (text := as_text(tree.get("name", ""), "name"))]
    return Interpolation(variables.get, missing).text(written[-1], "name") if written else None


def _model(
    name: str,
    tree: Tree,
    *,
    working_dir: Path,
    variables: Mapping[str, str],
    profiles: Sequence[str],
    services: Sequence[str],
    missing: list[Missing],
) -> Model:
    folders = Folders(str(working_dir), variables.get("HOME", "/"))
    around = Surroundings(folders, variables)
    forms = {key: service_form(value, f"services.{key}", around) for key, value in _entries(tree, "services").items()}
    active = _active(forms, profiles or _default_profiles(variables), services)
    networks = {key: network_form(key, value, name) for key, value in _entries(tree, "networks").items()}
    if any("default" in as_mapping(form.get("networks", {}), "") for form in forms.values()):
        networks.setdefault("default", network_form("default", None, name))
    volumes = {key: volume_form(key, value, name) for key, value in _entries(tree, "volumes").items()}
    secrets = {key: secret_form(key, value, name, folders) for key, value in _entries(tree, "secrets").items()}
    inactive = tuple(key for key in forms if key not in active)
    check_services(active, {"networks": networks, "volumes": volumes, "secrets": secrets}, inactive)
    return Model(name, active, inactive, networks, volumes, secrets, variables, tuple(missing))


def _entries(tree: Tree, kind: str) -> Tree:
    entries = as_mapping(tree.get(kind, {}), kind)
    for key in entries:
        if not _KEY.match(key):
            raise refuse(kind, f"{key!r} is not a name: a-z A-Z 0-9 . _ -")
    return entries


def _default_profiles(variables: Mapping[str, str]) -> list[str]:
    return [profile.strip() for profile in variables.get("COMPOSE_PROFILES", "").split(",")]


def _active(forms: Mapping[str, Tree], profiles: Sequence[str], services: Sequence[str]) -> dict[str, Tree]:
    for service in services:
        if service not in forms:
            raise UnknownService(
                f"there is no service {service!r} in the compose file",
                cause=f"it has {', '.join(forms) or 'none'}",
                hint="inv ps",
            )
    is_on: set[Value] = {profile for profile in profiles if profile}
    for service in services:
        if not _is_active(forms[service], is_on):
            is_on |= set(_profiles(forms[service]))
    return {name: form for name, form in forms.items() if _is_active(form, is_on)}


def _profiles(form: Tree) -> list[Value]:
    profiles = form.get("profiles")
    return profiles if isinstance(profiles, list) else []


def _is_active(form: Tree, is_on: set[Value]) -> bool:
    own = _profiles(form)
    return not own or "*" in is_on or any(profile in is_on for profile in own)


def _without_inactive(form: Tree, model: Model) -> Tree:
    """Leave out the optional dependencies that a profile keeps off."""
    needed = form.get("depends_on")
    if not isinstance(needed, dict):
        return form
    return form | {"depends_on": {name: entry for name, entry in needed.items() if name in model.services}}


def _used_resources(forms: Mapping[str, Tree]) -> dict[str, set[str]]:
    used: dict[str, set[str]] = {"networks": set(), "volumes": set(), "secrets": set()}
    for form in forms.values():
        used["networks"] |= set(as_mapping(form.get("networks", {}), ""))
        for kind in ("volumes", "secrets"):
            entries = form.get(kind)
            for entry in entries if isinstance(entries, list) else []:
                tree = as_mapping(entry, "")
                if "source" in tree and tree.get("type") != "bind":
                    used[kind].add(str(tree["source"]))
    return used
