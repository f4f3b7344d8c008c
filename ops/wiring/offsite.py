"""How do the tasks and jobs reach the off-site copies?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import BackupNotFound, ConfigurationError, OffsiteFailed, OpsError
from ops.model.finding import Finding
from ops.model.offsite import OffsiteTarget, judge_offsite, parse_targets, wanted_there
from ops.model.secret import Secret
from ops.wiring.audited import audited

if TYPE_CHECKING:
    from ops.actions.backup import BackupTaken
    from ops.actions.offsite import OffsiteTools, Target
    from ops.actions.verify import Verified
    from ops.model.manifest import Manifest
    from ops.model.retention_policy import Policy
    from ops.ports import OffsiteStore
    from ops.wiring.backups import BackupPlan
    from ops.wiring.toolbox import Toolbox


def described(tools: Toolbox) -> tuple[OffsiteTarget, ...]:
    """The targets of `[tool.ops.offsite]`. Raises: ConfigurationError."""
    return parse_targets(tools.project.offsite)


@contextmanager
def open_targets(tools: Toolbox, *, stack: str = "") -> Iterator[tuple[Target, ...]]:
    """All targets, for as long as the context lasts.

    Args:
        tools: of this run.
        stack: whose copies; this stack's where it is empty.

    Raises: ConfigurationError.
    """
    from ops.actions.offsite import Target

    with ExitStack() as opened:
        yield tuple(
            Target(_store(tools, one, stack or tools.stack_name, opened), _policy(tools, one))
            for one in described(tools)
        )


def _store(tools: Toolbox, target: OffsiteTarget, stack: str, opened: ExitStack) -> OffsiteStore:
    if target.kind == "folder":
        from ops.adapters.offsite_folder import FolderStore

        return FolderStore(target.name, tools.project.root / Path(target.path).expanduser(), stack)
    try:
        from ops.adapters.offsite_s3 import Credentials, S3Store
    except ImportError as exc:
        raise ConfigurationError(
            f"the off-site target {target.name} is S3 storage, and the library for it is not installed",
            cause=str(exc),
            hint="pip install 'ops-runner[s3]'",
        ) from exc
    known = tools.settings.variables
    store = S3Store(
        _completed(target, known),
        stack,
        Credentials(
            known.get("AWS_ACCESS_KEY_ID", ""),
            Secret(known.get("AWS_SECRET_ACCESS_KEY", "")),
            Secret(known.get("AWS_SESSION_TOKEN", "")),
        ),
    )
    opened.callback(store.close)
    return store


def _completed(target: OffsiteTarget, variables: Mapping[str, str]) -> OffsiteTarget:
    """What the table leaves open the usual variables say."""
    endpoint = variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL") or ""
    region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or "us-east-1"
    return replace(target, endpoint_url=target.endpoint_url or endpoint, region=target.region or region)


def _policy(tools: Toolbox, target: OffsiteTarget) -> Policy | None:
    from ops.model.retention_policy import parse_policy
    from ops.model.schedule import zone_of

    if not target.retention:
        return None
    return parse_policy(target.retention, zone_of(str(tools.project.schedule.get("zone", "UTC"))))


def offsite_tools(tools: Toolbox, *, stack: str = "", wait_s: float = 60.0) -> OffsiteTools:
    """What copying works with."""
    from ops.actions.offsite import OffsiteTools
    from ops.adapters.archive_folder import ArchiveFolder

    archives = ArchiveFolder(tools.settings.backup_dir, stack) if stack else tools.archives
    return OffsiteTools(archives, tools.lock, tools.clock, tools.report, stack or tools.stack_name, wait_s)


def copy(tools: Toolbox, taken: BackupTaken | BackupPlan) -> tuple[BackupTaken | BackupPlan, tuple[str, ...]]:
    """Copy a backup that was just taken to every target; gives it with its marks, and what failed."""
    from ops.actions.backup import BackupTaken
    from ops.actions.offsite import copy_to_all

    if not tools.project.offsite or not isinstance(taken, BackupTaken):
        return taken, ()
    with open_targets(tools) as targets, audited(tools, "offsite", backup=taken.manifest.id) as details:
        manifest, failures = copy_to_all(taken.manifest, targets, offsite_tools(tools))
        details["copied_to"], details["failures"] = list(manifest.offsite), list(failures)
    return replace(taken, manifest=manifest), failures


def refuse_failures(taken: BackupTaken | BackupPlan, failures: Sequence[str]) -> None:
    """Raise where a copy failed. Raises: OffsiteFailed."""
    from ops.actions.backup import BackupTaken
    from ops.actions.offsite import refuse_failures as refuse

    if isinstance(taken, BackupTaken):
        refuse(taken.manifest.id, failures)


def sync(tools: Toolbox, *, wait_s: float = 60.0) -> Mapping[str, object]:
    """Bring every target in step; one that fails does not keep the others from it. Raises: OffsiteFailed."""
    from ops.actions.offsite import sync as bring_in_step

    with open_targets(tools) as targets, audited(tools, "offsite") as done:
        failures = []
        for target in targets:
            name = target.store.name
            try:
                synced = bring_in_step(target, offsite_tools(tools, wait_s=wait_s))
            except OpsError as exc:
                failures.append(f"{name}: {exc.message}" + (f": {exc.cause}" if exc.cause else ""))
            else:
                done[f"{name}_uploaded"], done[f"{name}_removed"] = len(synced.uploaded), len(synced.removed)
        if failures:
            raise OffsiteFailed("off-site copies are not in step", cause="; ".join(failures), hint="inv check")
    return done


def findings(tools: Toolbox) -> tuple[Finding, ...]:
    """Whether each target is in step; one that does not answer is critical."""
    from ops.actions.offsite import catalog

    found = []
    with open_targets(tools) as targets:
        for target in targets:
            try:
                there = catalog(target.store, tools.stack_name)
            except OpsError as exc:
                name = f"off-site {target.store.name}"
                found.append(Finding(name, "critical", f"{exc.message}: {exc.cause}", exc.hint or "docs/offsite.md"))
                continue
            local = tools.archives.manifests()
            missing = wanted_there(local, there.manifests, target.policy, tools.clock.now())
            found.append(judge_offsite(target.store.name, local, there.manifests, missing, there.odd))
    return tuple(found)


def remote_manifests(tools: Toolbox, name: str, *, stack: str = "") -> tuple[Manifest, ...]:
    """The backups that one target holds, newest first. Raises: ConfigurationError, OffsiteFailed."""
    from ops.actions.offsite import catalog

    with open_targets(tools, stack=stack) as targets:
        there = catalog(_named(targets, name).store, stack or tools.stack_name)
    for text in there.odd:
        tools.report.warn(f"off-site {name}: {text}")
    return there.manifests


def verify(
    tools: Toolbox, backup_id: str, name: str, *, is_all: bool
) -> tuple[tuple[Verified, ...], tuple[tuple[str, str], ...]]:
    """Read the named copy in one target again, the newest there, or all; and what is no copy any more.

    Raises: ConfigurationError, OffsiteFailed, BackupNotFound.
    """
    from ops.actions.verify_offsite import verify_offsite

    ids = None if is_all else [backup_id] if backup_id else []
    with open_targets(tools) as targets:
        store = _named(targets, name).store
        with audited(tools, "verify", offsite=name) as details:
            results, damaged = verify_offsite(ids, store=store, tools=offsite_tools(tools))
            details["good"] = [one.manifest.id for one in results if not one.problem]
            details["bad"] = [*(one.manifest.id for one in results if one.problem), *(one for one, _ in damaged)]
    return results, damaged


def plan_verify(tools: Toolbox, backup_id: str, name: str, *, is_all: bool) -> tuple[Manifest, ...]:
    """The copies in one target that would be read again. Raises: ConfigurationError, OffsiteFailed, BackupNotFound."""
    from ops.actions.offsite import catalog

    with open_targets(tools) as targets:
        there = catalog(_named(targets, name).store, tools.stack_name).manifests
    wanted = there if is_all else [one for one in there if one.id == backup_id] if backup_id else there[:1]
    if not wanted:
        raise BackupNotFound(f"{name} holds no backup {backup_id}".rstrip(), hint="inv scheduler --once offsite")
    return tuple(wanted)


def fetch(tools: Toolbox, manifest: Manifest, name: str, *, stack: str = "", wait_s: float = 60.0) -> Manifest:
    """Bring one backup from a target into the local catalog. Raises: OffsiteFailed, ArchiveUnwritable."""
    from ops.actions.fetch import fetch as bring

    with open_targets(tools, stack=stack) as targets, audited(tools, "offsite", backup=manifest.id, fetched_from=name):
        return bring(manifest, _named(targets, name).store, offsite_tools(tools, stack=stack, wait_s=wait_s))


def _named(targets: Sequence[Target], name: str) -> Target:
    for target in targets:
        if target.store.name == name:
            return target
    raise ConfigurationError(
        f"there is no off-site target {name}",
        cause=f"[tool.ops.offsite] has {', '.join(target.store.name for target in targets) or 'none'}",
        hint="docs/offsite.md",
    )
