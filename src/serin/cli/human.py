"""``serin evaluate --human``: sheets for people who compare answers, and what they returned."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import click

from serin.clients.files import write_atomically, write_json
from serin.core.errors import UsageError
from serin.core.params import EvaluateParams
from serin.evaluate.human.export import export_sheets
from serin.evaluate.human.key import KEY
from serin.evaluate.human.result import import_ratings
from serin.evaluate.report.rated import render_rated

_SECRET_BYTES = 32


def export(params: EvaluateParams, evaluation: Path, people: Path, questions: int, raters: int, over: str) -> None:
    """Write a new folder of sheets and their key from the answers of an evaluation.

    Raises:
        UsageError: the folder holds something already, or there is nothing to compare.
        InputError: the evaluation is missing or damaged.
    """
    secret = secrets.token_bytes(_SECRET_BYTES)
    written = export_sheets(evaluation, people, questions, raters, params.judge.criteria, secret, over)
    click.echo(
        f"{written.sheets}: for each of {raters} people a form (.html) and a spreadsheet (.csv) of the same questions"
    )
    click.echo(f"{written.key}: keep it to yourself, it says whose answers they are")
    if written.same:
        click.echo(
            f"{written.same} of {written.questions} questions got the same answer twice and stand in no sheet: ties"
        )
    click.echo(f"afterwards: serin evaluate --human import --people {people} FILES…")


def import_(params: EvaluateParams, evaluation: Path, people: Path, files: Sequence[Path], partial: bool) -> None:
    """Check and sum up what people returned, into ``human.json`` beside the key, and the evaluation's page with it.

    Raises:
        UsageError: no files.
        InputError: no key, or faults in the ratings, all of them at once.
    """
    if not files:
        raise UsageError(
            "which ratings? serin evaluate --human import FILES…: the forms' files or the filled spreadsheets"
        )
    result = import_ratings(files, people / KEY, params, partial)
    page = render_rated(evaluation, result.as_dict())
    write_json(people / "human.json", result.as_dict())
    write_atomically(people / "evaluation.html", page.encode())
    for name, opinion in result.slices.items():
        alpha = "not defined" if opinion.alpha is None else f"{opinion.alpha:.2f}"
        click.echo(
            f"{name:<20} win rate {opinion.win_rate:.3f} [{opinion.ci_low:.3f}, {opinion.ci_high:.3f}] over {result.over}, "
            f"{opinion.questions} questions, agreement (Krippendorff's alpha) {alpha}"
        )
    click.echo(f"all of it: {people / 'human.json'}, and {people / 'evaluation.html'} to look at")
