"""``serin evaluate``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar


@click.command("evaluate")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--merged", type=click.Path(path_type=Path), default=Path("artifacts/merged"), show_default=True)
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/evaluation"), show_default=True)
@click.option("--gate", is_flag=True, help="Exit 3 if the verdict is no.")
def command(params_path: Path, base_out: Path, merged: Path, dataset: Path, out: Path, gate: bool) -> None:
    """Compare base and tuned on held-out questions, and judge the tuned model."""
    params = load_params(params_path)

    from serin.base import stage as base_stage
    from serin.clients.files import read_json
    from serin.clients.storage import open_storage
    from serin.core.errors import GateError
    from serin.evaluate import stage

    base = base_stage.load(base_out)
    pointer = read_json(merged / "pointer.json")
    candidate = open_storage(params.storage).fetch_folder(pointer["prefix"], Path(".serin/models") / pointer["digest"])
    with progress_bar("evaluate") as bar:
        verdict = stage.run(
            params.evaluate,
            base.folder,
            candidate,
            pointer["digest"],
            dataset,
            out,
            lambda model, done, total: bar(done, total, model),
        )
    for gain in read_json(out / "metrics.json")["gains"]:
        click.echo(
            f"{gain['metric']:<14} {gain['slice']:<4} base {gain['base']:.3f}  tuned {gain['tuned']:.3f}  "
            f"gain {gain['delta']:+.3f} [{gain['ci_low']:+.3f}, {gain['ci_high']:+.3f}]"
        )
    click.echo(f"verdict on {pointer['digest'][:12]}: {'passed' if verdict.passed else 'not passed'}")
    if gate and not verdict.passed:
        raise GateError("; ".join(verdict.missed) or "no rule applied")
