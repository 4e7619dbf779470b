"""``serin traffic``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar


@click.command("traffic")
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    default=Path("artifacts/dataset/test.jsonl"),
    show_default=True,
    help="Held-out questions with their references.",
)
@click.option("--gateway", metavar="URL", help="The gateway's address.  [default: as params.yaml serves]")
@click.option("--users", type=click.IntRange(min=1), default=4, show_default=True, help="Users at a time.")
@click.option("--requests", type=click.IntRange(min=1), help="Stop after so many requests.")
@click.option("--until-decided", is_flag=True, help="Stop when a rollout has begun and been decided.")
@click.option("--seed", type=int, default=1, show_default=True, help="Draws the order of the questions.")
@click.option("--report", type=click.Path(path_type=Path), help="Write what the users saw to this JSON file.")
@params_option
def command(
    dataset: Path,
    gateway: str | None,
    users: int,
    requests: int | None,
    until_decided: bool,
    seed: int,
    report: Path | None,
    params_path: Path,
) -> None:
    """Play users who ask held-out questions through the gateway and post graded feedback."""
    if until_decided == (requests is not None):
        raise click.UsageError("give either --requests N or --until-decided")
    params = load_params(params_path)

    from serin.clients.files import read_jsonl, write_json
    from serin.core.conversation import Conversation
    from serin.core.errors import InputError
    from serin.rollout.users import Asking, Traffic, play

    questions = [Conversation.from_dict(record) for record in read_jsonl(dataset)]
    if not questions:
        raise InputError(f"{dataset} holds no question: name a split of 'serin prepare' that has some")
    address = (gateway or f"http://{params.serve.host}:{params.serve.port}").rstrip("/")
    asking = Asking(
        gateway=address,
        questions=questions,
        article_pattern=params.evaluate.article_pattern,
        max_tokens=params.evaluate.max_new_tokens,
        timeout_s=params.serve.request_timeout_s,
    )
    with progress_bar("traffic") as bar:

        def tell(traffic: Traffic) -> None:
            bar(len(traffic.replies), requests, f"{sum(r.error is not None for r in traffic.replies)} errors")

        seen = play(asking, users, requests, seed, tell).report()
    if report is not None:
        write_json(report, seen)
    click.echo(f"{seen['requests']} requests, {seen['errors']} errors")
    for error in seen["error_messages"]:
        click.echo(f"  {error['count']} x {error['message']}")
    for revision, figures in seen["by_revision"].items():
        click.echo(
            f"{revision[:24]:<24} {figures['requests']:>5} answers, mean score {figures['mean_score']:.2f}, "
            f"first token after {figures['ttft_p50_s'] * 1000:.0f} ms (median)"
        )
