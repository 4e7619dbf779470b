"""``serin base``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar


@click.command("base")
@params_option
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
def command(params_path: Path, out: Path) -> None:
    """Verify the base model, or pre-train the example's anew (base.rebuild)."""
    from serin.base import stage

    params = load_params(params_path)
    with progress_bar("base") as bar:
        base = stage.run(params.base, out, lambda step, steps, loss: bar(step, steps, f"loss {loss:.3f}"))
    click.echo(f"base model {base.folder} is {base.digest[:12]}")
