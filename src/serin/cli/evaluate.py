"""``serin evaluate``."""

import os
from pathlib import Path

import click

from serin.cli.candidate import Named, candidate_options
from serin.cli.human import Sheets, sheet_options
from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar
from serin.core.errors import GateError
from serin.core.params import Params

_FOLDER = click.Path(path_type=Path)


@click.command("evaluate")
@params_option
@click.option("--base", "base_out", type=_FOLDER, default=Path("artifacts/base"), show_default=True)
@click.option("--dataset", type=_FOLDER, default=Path("artifacts/dataset"), show_default=True)
@click.option("--out", type=_FOLDER, default=Path("artifacts/evaluation"), show_default=True)
@candidate_options
@click.option("--gate", is_flag=True, help="Exit 3 if the verdict is no.")
@click.option("--pin", metavar="STAGE", help="Write the revision of a stage, such as production, to evaluate.against.")
@sheet_options
def command(
    params_path: Path,
    base_out: Path,
    dataset: Path,
    out: Path,
    named: Named,
    gate: bool,
    pin: str | None,
    sheets: Sheets,
) -> None:
    """Compare a candidate with its base and with production on held-out questions, and judge it.

    FILES are the ratings that --human import reads.
    """
    params = load_params(params_path)
    if sheets.are_asked():
        sheets.run(params.evaluate, out)
    elif pin is not None:
        _pin(params, params_path, pin)
    elif params.executor == "kubernetes":
        _evaluate_on_cluster(params, base_out, dataset, out, named, gate)
    else:
        _evaluate(params, base_out, dataset, out, named, gate)


def _pin(params: Params, params_path: Path, stage: str) -> None:
    """What the candidate has to beat, into the params file."""
    from serin.project.pin import pin_stage

    click.echo(f"{params_path}: evaluate.against is {pin_stage(params, params_path, stage)}")


def _evaluate_on_cluster(params: Params, base_out: Path, dataset: Path, out: Path, named: Named, gate: bool) -> None:
    """The evaluation of a stored model as a Job. Raises GateError where the verdict is a no and ``gate`` asks."""
    from serin.cli.cluster import run_on_cluster
    from serin.clients.models import read_pointer

    merged = named.merged or Path("artifacts/merged")
    elsewhere = {
        "--adapter": named.adapter,
        "--model": named.folder,
        "--endpoint": named.endpoint,
        "--endpoint-model": named.endpoint_model,
        "--endpoint-key": named.endpoint_key,
    }
    run_on_cluster(params, "evaluate", {"base": base_out, "dataset": dataset, "merged": merged}, out, elsewhere)
    pointer = read_pointer(merged)
    _tell(out, f"{pointer.name}@{pointer.digest}", gate)


def _tell(out: Path, called: str, gate: bool) -> None:
    """What an evaluation came to. Raises GateError where that is a no and ``gate`` asks."""
    from serin.clients.files import read_json
    from serin.core.verdict import Verdict
    from serin.evaluate.report.summary import summary

    verdict = Verdict.model_validate(read_json(out / "verdict.json"))
    for line in summary(read_json(out / "metrics.json"), verdict, called):
        click.echo(line)
    click.echo(f"every figure and the worst answers: {out / 'evaluation.html'}")
    if gate and not verdict.passed:
        raise GateError("; ".join(verdict.missed) or "no rule applied")


def _evaluate(params: Params, base_out: Path, dataset: Path, out: Path, named: Named, gate: bool) -> None:
    """The evaluation, and what it came to. Raises GateError where that is a no and ``gate`` asks."""
    from serin.base import stage as base_stage
    from serin.clients.runs import runs_folder
    from serin.clients.storage import open_storage
    from serin.evaluate import stage
    from serin.evaluate.subject import base_of, candidate_of, production_of

    wanted = named.candidate()
    base = base_stage.load(base_out)
    storage = open_storage(params.storage)
    candidate = candidate_of(params.evaluate, wanted, base.folder, base.digest, storage)
    production = production_of(params.evaluate, storage)
    subjects = [
        candidate,
        base_of(params.evaluate, base.folder, base.digest, base.model),
        *([production] if production else []),
    ]
    with progress_bar("evaluate") as bar:
        stage.run(
            params.evaluate,
            subjects,
            dataset,
            runs_folder(os.environ) / "answers",
            out,
            lambda model, done, total: bar(done, total, model),
            os.environ,
        )
    _tell(out, candidate.called, gate)
