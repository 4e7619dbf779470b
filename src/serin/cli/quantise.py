"""``serin quantise``."""

import os
from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar

_MIB = 1 << 20


@click.command("quantise")
@params_option
@click.option(
    "--scheme",
    "scheme_name",
    type=click.Choice(["w8a8-int8", "w4a16", "fp8"]),
    help="w8a8-int8: weights and activations in 8 bits. w4a16: weights in 4 bits. fp8: both in 8-bit floating point; made "
    "without data, and unproved: no GPU has served it.",
)
@click.option("--merged", type=click.Path(path_type=Path), default=Path("artifacts/merged"), show_default=True)
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/quantised"), show_default=True)
@click.option("--set-up", is_flag=True, help="Make the environment that llm-compressor needs for itself, first.")
def command(params_path: Path, scheme_name: str | None, merged: Path, dataset: Path, out: Path, set_up: bool) -> None:
    """Write a merged model in fewer bits, as a candidate of its own.

    llm-compressor does it, in an environment of its own: in .serin/quantise, or where SERIN_QUANTISE_PYTHON names a Python.
    Evaluate what comes of it before it is published: 'serin evaluate --merged artifacts/quantised'.
    """
    from serin.core.errors import UsageError
    from serin.quantise.environment import FOLDER, find_python
    from serin.quantise.environment import set_up as make_environment

    if scheme_name is None and not set_up:
        raise UsageError("name a --scheme, or --set-up")
    if set_up:
        click.echo(f"setting up {FOLDER} for llm-compressor; this takes a minute or two", err=True)
        make_environment(FOLDER, os.environ)
    if scheme_name is None:
        return
    params = load_params(params_path)
    python = find_python(FOLDER, os.environ)

    from serin.clients.storage import open_storage
    from serin.quantise import stage
    from serin.quantise.scheme import SCHEMES

    storage = open_storage(params.storage)
    scheme = next(scheme for name, scheme in SCHEMES.items() if name == scheme_name)
    with progress_bar("quantise") as bar:
        made = stage.run(
            params.quantise,
            scheme,
            merged,
            dataset if scheme.is_calibrated else None,
            storage,
            python,
            Path(".serin/models"),
            os.environ,
            out,
            bar,
        )
    click.echo(
        f"{made.pointer.name}@{made.pointer.digest[:12]} ({scheme.name}) is in {storage.uri(made.pointer.prefix)}: "
        f"{made.weights_bytes / _MIB:.1f} MiB of weights, {made.merged_weights_bytes / _MIB:.1f} MiB before"
    )
