"""How do the results of starting, stopping and looking look?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ops.output import plain, show, table, with_commands

if TYPE_CHECKING:
    from ops.actions.preview_stack import StackPreview
    from ops.actions.start import StartReport
    from ops.actions.stop import StopReport
    from ops.model.engine import LogLine, ServiceStatus, StackState
    from ops.wiring import Toolbox

_ALIVE = {"running", "restarting", "paused"}


def _service_row(name: str, status: ServiceStatus | None, left_out: str) -> dict[str, Any]:
    row: dict[str, Any] = {"service": name, "state": "absent", "health": "none", "restarts": 0, "ports": []}
    if left_out:
        return row | {"state": "left out", "reason": left_out}
    if status is None:
        return row
    return row | {
        "state": status.state,
        "health": status.health,
        "restarts": status.restart_count,
        "ports": [f"{port.host_ip}:{port.published}->{port.target}/{port.protocol}" for port in status.ports],
    }


def services(state: StackState, tools: Toolbox, *, as_json: bool) -> None:
    """`inv ps`: a list of `{service, state, health, restarts, ports}`.

    The services of the file, whatever their state, and what else of the project runs: those of a profile that is off.
    """
    left_out = tools.engine.left_out(tools.stack)
    rows = [_service_row(name, state.services.get(name), left_out.get(name, "")) for name in tools.stack.services]
    rows += [_service_row(one.service, one, "") for one in state.orphans if one.state in _ALIVE]

    def text() -> str:
        cells = [
            [
                row["service"],
                row["state"],
                row["health"],
                row["restarts"],
                ", ".join(row["ports"]) or row.get("reason", ""),
            ]
            for row in rows
        ]
        return table(cells, ["service", "state", "health", "restarts", "ports"])

    show(rows, as_json=as_json, text=text)


def log_lines(lines: Iterable[LogLine], service_count: int) -> None:
    """`inv logs`: each line, behind its service's name where there are several."""
    for line in lines:
        prefix = f"{line.service} | " if service_count > 1 else ""
        sys.stdout.write(f"{prefix}{line.text}\n")
        sys.stdout.flush()


def images(built: Mapping[str, str], verb: str, *, as_json: bool) -> None:
    """`inv build` and `inv pull`: service -> image id."""
    show(
        [{"service": service, "image_id": image} for service, image in built.items()],
        as_json=as_json,
        text=lambda: (
            "\n".join(f"{service}: {verb} {image[:19]}" for service, image in built.items()) or "nothing to do"
        ),
    )


def images_wanted(wanted: Mapping[str, str], verb: str, *, as_json: bool) -> None:
    """`inv build --dry-run` and `inv pull --dry-run`: service -> the image's name."""
    show(
        [{"service": service, "image": image} for service, image in wanted.items()],
        as_json=as_json,
        text=lambda: "\n".join(f"{service}: {image} {verb}" for service, image in wanted.items()) or "nothing to do",
    )


def start_report(report: StackPreview | StartReport, tools: Toolbox, *, as_json: bool) -> None:
    """`inv up` and `inv plan`: the steps with their reasons, and where things answer."""
    from ops.actions.start import StartReport

    if isinstance(report, StartReport):
        document = plain(report) | {"engine": tools.engine_choice.engine}
        for status in document["services"].values():
            del status["spec"]  # digests of every value, of passwords too
        show(document, as_json=as_json, text=lambda: _started(report, tools))
        return
    steps = [
        {"action": step.action, "subject": step.subject, "reason": step.reason}
        for step in report.steps
        if step.is_change
    ]
    document = {
        "engine": tools.engine_choice.engine,
        "engine_reason": tools.engine_choice.reason,
        "steps": steps,
        "left_out": plain(report.left_out),
        "warnings": list(report.warnings),
        "observe_s": report.observe_s,
        "plan_s": report.plan_s,
        "total_s": round(report.observe_s + report.plan_s, 3),
    }

    def text() -> str:
        lines = [f"engine {tools.engine_choice.engine}: {tools.engine_choice.reason}"]
        lines += [f"{step['action']:<15} {step['subject']:<16} {step['reason']}" for step in steps] or ["nothing to do"]
        lines += [f"{'left out':<15} {name:<16} {why}" for name, why in report.left_out.items()]
        return "\n".join([*lines, *(f"warning: {one}" for one in report.warnings)])

    show(document, as_json=as_json, text=text)


def _started(report: StartReport, tools: Toolbox) -> str:
    from ops.wiring.lifecycle import pending_revisions

    lines = []
    for name, status in report.services.items():
        ports = ", ".join(f"{port.host_ip}:{port.published}" for port in status.ports)
        state = status.health if status.health != "none" else status.state
        lines.append(f"{name} is {state}{' at ' + ports if ports else ''}")
    lines += [f"{name} is left out: {why}" for name, why in report.left_out.items()]
    if not report.is_changed:
        lines.append("nothing had to be done")
    if pending := pending_revisions(tools):
        lines.append(with_commands(pending))
    return "\n".join(lines)


def stop_report(report: StackPreview | StopReport, tools: Toolbox, *, as_json: bool) -> None:
    """`inv down`: the steps."""
    from ops.actions.stop import StopReport

    steps = [done.step for done in report.steps] if isinstance(report, StopReport) else list(report.steps)
    verb = "" if isinstance(report, StopReport) else "would "
    show(
        {"stack": tools.stack_name, "steps": plain(steps)},
        as_json=as_json,
        text=lambda: (
            "\n".join(f"{verb}{step.action:<15} {step.subject:<16} {step.reason}" for step in steps)
            or "nothing was there"
        ),
    )


def configuration(tools: Toolbox, *, as_json: bool) -> None:
    """`inv config`: the resolved stack and the settings, secrets masked."""
    from ops.config import SETTINGS

    variables = tools.settings.variables
    settings = {
        setting.name: "***" if setting.is_secret and variables.get(setting.name) else variables.get(setting.name, "")
        for setting in SETTINGS
    }
    stack = plain(tools.stack)
    document = json.loads(tools.log.masked(json.dumps({"settings": settings, "stack": _without_secrets(stack)})))

    def text() -> str:
        lines = ["settings"]
        width = max(len(setting.name) for setting in SETTINGS)
        for setting in SETTINGS:
            given = settings[setting.name]
            default = "***" if setting.is_secret and setting.default else setting.default
            lines.append(f"  {setting.name:<{width}} {given or default or '-'}{'' if given else '  (default)'}")
        lines.append(f"stack {tools.stack.project}")
        for name, one in document["stack"]["services"].items():
            lines.append(f"  {name}: {one['image'] or 'built here'}")
            lines += [f"    {key}={value}" for key, value in one["environment"].items()]
        return "\n".join(lines)

    show(document, as_json=as_json, text=text)


def _without_secrets(stack: Any) -> Any:
    from ops.wiring.masked_log import is_secret_name, without_password

    for service in stack["services"].values():
        service["environment"] = {
            name: "***" if is_secret_name(name) and "URL" not in name else without_password(value)
            for name, value in service["environment"].items()
        }
    return stack
