"""``serin train``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar


@click.command("train")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/adapter"), show_default=True)
def command(params_path: Path, base_out: Path, dataset: Path, out: Path) -> None:
    """Fine-tune the base model with QLoRA."""
    params = load_params(params_path)

    from serin.base import stage as base_stage
    from serin.train import stage

    base = base_stage.load(base_out)
    with progress_bar("train") as bar:
        manifest = stage.run(
            params.train,
            base.folder,
            base.digest,
            dataset,
            out,
            lambda step, steps, loss: bar(step, steps, "" if loss is None else f"loss {loss:.3f}"),
        )
    metrics = manifest.metrics
    click.echo(
        f"adapter {manifest.digest[:12]}: {metrics['steps']} steps over {metrics['examples']} conversations, "
        f"loss {metrics['final_loss']:.3f}, {metrics['trainable_parameters']:,} trainable parameters"
    )
