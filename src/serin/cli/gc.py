"""``serin gc``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serin.cli.options import load_params, params_option
from serin.cli.serving import every_serving_state, states_option

if TYPE_CHECKING:
    from serin.publish.removal.collect import Plan
    from serin.rollout.old_evidence import EvidencePlan


@click.command("gc")
@params_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and remove nothing.")
@click.option("--force", is_flag=True, help="Do not ask before removing.")
@click.option("--all-commits", is_flag=True, help="Keep what any commit refers to, not only branches and tags.")
@click.option(
    "--grace-days",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    help="Younger bytes stay: a merge may be writing them. Evidence stays for a day at least.",
)
@click.option("--despite-doubts", is_flag=True, help="Remove although something could not be read.")
@states_option
def command(
    params_path: Path,
    dry_run: bool,
    force: bool,
    all_commits: bool,
    grace_days: float,
    despite_doubts: bool,
    states: tuple[Path, ...],
) -> None:
    """Remove merged models from storage that nothing refers to, and evidence that no rollout needs any more.

    Kept is what is published, deployed, an output of this folder, or pointed to by DVC in a branch or tag; workspaces of
    others are not seen, which the grace period is for as well. Of the evidence that gateways write, here or for a cluster,
    what is younger than the grace period stays, and all since the oldest rollout or experiment began that is under way. What was
    captured always stays.
    """
    params = load_params(params_path)

    from serin.clients.serving_state import FolderState
    from serin.clients.storage import open_storage
    from serin.publish.removal import collect
    from serin.rollout import old_evidence

    storage = open_storage(params.storage)
    project = Path.cwd()
    now, grace = datetime.now(UTC), timedelta(days=grace_days)
    serving = every_serving_state(params, states)
    found = collect.plan(storage, project, serving, all_commits, now, grace)
    here = [old_evidence.plan_here(state, now, grace) for state in serving if isinstance(state, FolderState)]
    evidence = [old_evidence.plan_shipped(storage, now, grace), *here]
    _show(found)
    for plan in evidence:
        _show_evidence(plan)
    objects = sum(plan.old.objects for plan in evidence)
    size_bytes = found.size_bytes + sum(plan.old.size_bytes for plan in evidence)
    going = [
        *([_counted(len(found.removed), "model")] if found.removed else []),
        *([f"{_counted(objects, 'object')} of evidence"] if objects else []),
    ]
    if not going:
        click.echo("nothing to remove")
    if dry_run or not going:
        return
    what = " and ".join(going)
    if not force:
        click.confirm(f"Remove {what} for good?", abort=True)
    if found.removed:
        collect.remove(found, storage, despite_doubts)
    for plan in evidence:
        plan.remove(storage)
    click.echo(f"removed {what}, {size_bytes:,} bytes")


def _show(plan: "Plan") -> None:
    for model, why in plan.kept.items():
        click.echo(f"keep    {model.revision}  {model.size_bytes:>15,} bytes  {why}")
    for model in plan.removed:
        state = "nothing refers to it" if model.is_complete else "not complete, and nothing refers to it"
        click.echo(f"remove  {model.revision}  {model.size_bytes:>15,} bytes  {state}")
    for doubt in plan.doubts:
        click.echo(f"doubt   {doubt}", err=True)
    if not plan.sees_history:
        click.echo("this folder is no git repository with DVC: what other commits point to is not seen", err=True)


def _show_evidence(plan: "EvidencePlan") -> None:
    place = f"in {plan.place}"
    for doubt in plan.doubts:
        click.echo(f"doubt   all evidence {place} stays ({doubt})", err=True)
    if plan.before is not None and plan.holder is not None:
        click.echo(f"keep    evidence {place} from {plan.before:%Y-%m-%d %H:%M} UTC on, since {plan.holder}")
    if plan.before is not None and plan.old.objects:
        shown = f"evidence {place} until {plan.before:%Y-%m-%d %H:%M} UTC"
        click.echo(f"remove  {shown}  {plan.old.size_bytes:>15,} bytes  no rollout needs it any more")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
