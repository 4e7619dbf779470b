"""``serin train``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar
from serin.core.errors import UsageError


@click.command("train")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/adapter"), show_default=True)
@click.option("--fresh", is_flag=True, help="Forget the checkpoints of this very run, and start from the first step.")
@click.option(
    "--killed-for-memory",
    is_flag=True,
    help="The last attempt was killed for want of memory: take half as many examples at once.",
)
@click.option("--plan", is_flag=True, help="Say what the run will take, and end: no weight is read.")
@click.option("--gpu", help="With --plan: the GPU to plan for, such as L4 or A100-80, instead of this machine.")
@click.option("--calibrate", type=click.IntRange(5), help="With --plan: time so many steps of the run first.")
@click.option("--json", "as_json", is_flag=True, help="With --plan: print it as JSON.")
def command(
    params_path: Path,
    base_out: Path,
    dataset: Path,
    out: Path,
    fresh: bool,
    killed_for_memory: bool,
    plan: bool,
    gpu: str | None,
    calibrate: int | None,
    as_json: bool,
) -> None:
    """Fine-tune the base model; run it again after a kill and it goes on from its newest checkpoint."""
    if not plan and (gpu or calibrate or as_json):
        raise UsageError("--gpu, --calibrate and --json belong to --plan: add it, or leave them out")
    params = load_params(params_path)
    if plan:
        from serin.cli.plan import show_plan

        show_plan(params, base_out, dataset, gpu, calibrate, as_json)
        return
    if params.executor == "kubernetes":
        from serin.cli.cluster import run_on_cluster

        refused = {"--fresh": fresh, "--killed-for-memory": killed_for_memory}
        run_on_cluster(params, "train", {"base": base_out, "dataset": dataset}, out, refused)
        return

    from serin.base import stage as base_stage
    from serin.train import stage
    from serin.train.watch.console import Console
    from serin.train.watch.progress_file import ProgressFile
    from serin.train.watch.record import SideRecord
    from serin.train.watch.trackers import trackers
    from serin.train.watch.watcher import Watcher
    from serin.train.watch.watchers import Watchers

    base = base_stage.load(base_out)
    inputs = stage.Inputs(base.folder, base.digest, dataset)
    options = stage.Options(fresh=fresh, killed_for_memory=killed_for_memory)
    with progress_bar("train") as bar:

        def watch(folder: Path) -> Watchers:
            say = Console(bar, lambda message: click.echo(f"train: {message}", err=True))
            files: list[Watcher] = [
                ProgressFile(folder / "progress.json"),
                SideRecord(out.with_name(f"{out.name}.record.json")),
            ]
            return Watchers([say, *files, *trackers(params.runs.trackers, folder / "trackers")])

        manifest = stage.run(params, inputs, out, watch, options)
    if manifest is None:
        return
    metrics = manifest.metrics
    click.echo(
        f"{manifest.kind} {manifest.digest[:12]}: {metrics['steps']} steps over {metrics['examples']} examples, loss "
        f"{metrics['final_loss']:.3f}, {metrics['trainable_parameters']:,} trainable parameters"
    )
