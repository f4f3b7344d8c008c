"""How do the results of backup tasks look?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops.model.in_words import in_words
from ops.model.size import human_size
from ops.output import plain, show, table, with_commands

if TYPE_CHECKING:
    from ops.actions.backup import BackupTaken
    from ops.actions.drill import Drilled
    from ops.actions.prune import PrunePlan
    from ops.actions.prune_copies import CopiesPlan
    from ops.actions.verify import Verified
    from ops.model.manifest import Manifest
    from ops.wiring.backups import BackupPlan
    from ops.wiring.pruned import Pruned, RemovalPlan


def backup(taken: BackupTaken | BackupPlan, *, as_json: bool) -> None:
    """`inv backup`: what there is now, or would be."""
    from ops.actions.backup import BackupTaken

    if not isinstance(taken, BackupTaken):
        plan = taken
        show(
            plan,
            as_json=as_json,
            text=lambda: (
                f"would dump {plan.database} ({human_size(plan.size_bytes)}) into {plan.folder} "
                f"({human_size(plan.free_bytes)} free)"
            ),
        )
        return
    manifest = taken.manifest
    document = plain(manifest) | {step: round(seconds, 3) for step, seconds in taken.steps_s.items()}

    def text() -> str:
        rows = sum(one.row_count for one in manifest.tables)
        proof = "decoded to its end" if manifest.encryption is None else "read through to its end, then encrypted"
        lines = [
            f"backup {manifest.id}: {rows:,} rows in {len(manifest.tables)} tables, {human_size(manifest.size_bytes)}",
            f"of revision {', '.join(manifest.revisions) or 'none'}",
            f"{proof}, hashed, read back from the disk",
            f"by hand: {manifest.restore_by_hand}",
        ]
        lines += [f"encrypted with {manifest.encryption}"] if manifest.encryption else []
        lines += [f"off-site, read back and compared: {', '.join(manifest.offsite)}"] if manifest.offsite else []
        lines += [f"suspicious: {one}" for one in manifest.suspicious]
        return "\n".join(lines)

    show(document, as_json=as_json, text=text)


def catalog(rows: Sequence[Mapping[str, Any]], now: datetime, *, as_json: bool) -> None:
    """`inv backups`: newest first."""

    def text() -> str:
        if not rows:
            return with_commands("no backup yet: inv backup")
        several = len({(row["environment"], row["format"], row["database"]) for row in rows}) > 1
        cells = [
            [
                row["id"],
                *([row["database"]] if several else []),
                in_words((now - row["created_at"]).total_seconds()),
                human_size(row["size_bytes"]),
                _trend(row["size_change"]),
                row["revision"] or "-",
                row["reason"],
                "pinned" if row["pinned"] else "",
                _ago(row["verified_at"], now) if row["good"] else "NOT GOOD",
                "yes" if row["drillable"] else "no key",
                _ago(row["drilled_at"], now),
                ",".join(row["offsite"]) or "-",
                row.get("note", ""),
            ]
            for row in rows
        ]
        titles = [
            "id",
            *(["database"] if several else []),
            "age",
            "size",
            "trend",
            "revision",
            "reason",
            "pin",
            "verified",
            "drillable",
            "drilled",
        ]
        bad = [f"{row['id']} is not good: {row['suspicious'][0]}" for row in rows if row["suspicious"]]
        return "\n".join([table(cells, [*titles, "off-site", "note"]), *bad])

    show(rows, as_json=as_json, text=text)


def _trend(change: float | None) -> str:
    """How much larger than the one before, `+2 %`; where percents say nothing, how many times as large, `x15`."""
    if change is None:
        return ""
    return f"x{change + 1:.0f}" if change >= 10 else f"{change:+.0%}".replace("%", " %")


def _ago(at: datetime | None, now: datetime) -> str:
    return in_words((now - at).total_seconds()) if at else "never"


def verified(results: Sequence[Verified], *, as_json: bool) -> None:
    """`inv verify`: one line a backup."""
    show(
        [
            {"id": one.manifest.id, "good": not one.problem, "problem": one.problem, "duration_s": one.duration_s}
            for one in results
        ],
        as_json=as_json,
        text=lambda: "\n".join(
            f"{one.manifest.id}  {'BAD   ' + one.problem if one.problem else 'whole'}" for one in results
        ),
    )


def verify_planned(wanted: Sequence[Manifest], *, is_drill: bool, as_json: bool) -> None:
    """`inv verify --dry-run`: what would be read again, or restored elsewhere."""
    how = "would be restored into a throwaway server and compared" if is_drill else "would be read again"
    show(
        [{"id": one.id, "size_bytes": one.size_bytes, "drill": is_drill} for one in wanted],
        as_json=as_json,
        text=lambda: "\n".join(f"{one.id}  {human_size(one.size_bytes)}, {how}" for one in wanted),
    )


def drilled(done: Drilled, *, as_json: bool) -> None:
    """`inv verify --drill`: what was proved, where, and what a restore would say besides."""
    manifest, proof = done.manifest, done.manifest.drill
    document = {
        "id": manifest.id,
        "good": True,
        "tables": done.tables,
        "rows": done.rows,
        "drill": plain(proof),
        "roles_made": list(done.roles_made),
        "not_carried_over": list(done.not_carried_over),
        "problems": list(done.problems),
        **done.steps_in_seconds(),
    }

    def text() -> str:
        where = f"a throwaway {manifest.database.kind} {proof.server_version}" if proof else "a throwaway server"
        took = f" in {proof.duration_s:.1f} s" if proof else ""
        lines = [
            f"{manifest.id} restores: {done.rows:,} rows in {done.tables} tables, counts and checksums equal",
            f"on {where}{took}, which is gone again",
        ]
        return "\n".join([*lines, *(f"to know: {one}" for one in (*done.not_carried_over, *done.problems))])

    show(document, as_json=as_json, text=text)


def pinned(manifest: Manifest, *, is_dry: bool, as_json: bool) -> None:
    """`inv pin`: how the backup is marked, or would be."""
    said = f"pinned{': ' + manifest.pin_note if manifest.pin_note else ''}" if manifest.pinned else "without a pin"
    show(
        {"id": manifest.id, "pinned": manifest.pinned, "note": manifest.pin_note},
        as_json=as_json,
        text=lambda: f"{manifest.id} {'would be ' if is_dry else 'is '}{said}",
    )


def pruned(done: Pruned[PrunePlan], *, as_json: bool) -> None:
    """`inv prune`: every backup with what happens to it and why."""
    plan = done.plan
    rows = [
        {
            "id": one.manifest.id,
            "kept": one.is_kept,
            "reasons": list(one.reasons),
            "size_bytes": one.manifest.size_bytes,
        }
        for one in plan.decisions
    ]
    document = {
        "decisions": rows,
        "withheld": plan.withheld,
        **_removal(done),
    }

    def text() -> str:
        several = len({one.manifest.identity for one in plan.decisions}) > 1
        cells = [
            [
                one.manifest.id,
                *([one.manifest.identity] if several else []),
                "keep" if one.is_kept else "prune",
                human_size(one.manifest.size_bytes),
                "; ".join(one.reasons),
            ]
            for one in plan.decisions
        ]
        lines = [
            table(cells, ["id", *(["database"] if several else []), "decision", "size", "because"])
            if cells
            else "no backup yet"
        ]
        if plan.withheld:
            lines.append(f"nothing may be removed: {plan.withheld}")
        lines.append(_removed(done, "would remove", "removed"))
        return "\n".join(lines)

    show(document, as_json=as_json, text=text)


def _removal(done: Pruned[RemovalPlan]) -> dict[str, object]:
    return {
        "would_remove": list(done.plan.removed),
        "removed": list(done.removed or ()),
        "freed_bytes": done.plan.freed_bytes if done.removed else 0,
        "plan_s": done.plan_s,
        "remove_s": done.remove_s,
        "total_s": done.total_s,
    }


def _removed(done: Pruned[RemovalPlan], would: str, did: str) -> str:
    names = done.plan.removed if done.removed is None else done.removed
    return f"{would if done.removed is None else did} {len(names)}, {human_size(done.plan.freed_bytes)}"


def copies_pruned(done: Pruned[CopiesPlan], *, as_json: bool) -> None:
    """`inv prune --copies`: every kept copy with what happens to it and why."""
    plan = done.plan
    document = {
        "decisions": [
            {
                "name": one.copy.name,
                "kept": one.is_kept,
                "reasons": [one.reason],
                "size_bytes": one.copy.size_bytes,
                "created_at": one.copy.created_at,
                "expires_at": one.copy.expires_at,
            }
            for one in plan.decisions
        ],
        **_removal(done),
    }

    def text() -> str:
        cells = [
            [one.copy.name, "keep" if one.is_kept else "drop", human_size(one.copy.size_bytes), one.reason]
            for one in plan.decisions
        ]
        shown = table(cells, ["copy", "decision", "size", "because"]) if cells else "nothing is kept beside it"
        return f"{shown}\n{_removed(done, 'would drop', 'dropped')}"

    show(document, as_json=as_json, text=text)
