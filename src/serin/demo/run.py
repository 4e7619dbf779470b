"""The main job: pipeline, serving, a canary that is promoted, and a damaged one that is aborted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serin.clients.files import read_json, write_json
from serin.core.errors import GateError, UsageError
from serin.core.params import ServeParams
from serin.demo.commands import Commands
from serin.demo.figures import ROLLOUTS, summary
from serin.demo.report import write_report
from serin.serve.local.ports import require_free

PIPELINE = "dvc.yaml"
DEMO_PIPELINE = "examples/labour-law/demo/dvc.yaml"
REPORTS = Path("reports")
STATE = ("--state", ".serin/demo/serve")
OF_ROLLOUTS = ("--rollouts", ROLLOUTS.as_posix(), *STATE)
"""Folders of its own: what somebody serves from this folder besides is left alone."""
EXPECTED = {"tuned": "promoted", "damaged": "aborted"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A canary that is offered to users."""

    name: str
    revision: str


def run(folder: Path, serve: ServeParams) -> dict[str, Any]:
    """Do everything, and return the figures that ``reports/demo.json`` holds.

    Raises:
        FinalError: a step failed; serving has been stopped by then.
        ServingError: the port to serve on is taken; nothing has been done.
    """
    commands = Commands(folder)
    # What an earlier demo deployed is forgotten: this one starts from the base model again.
    commands.run("forget", commands.serin("stop", "--forget", *STATE))
    require_free(serve.host, serve.port)
    pipeline(commands)
    offers = [
        Offer("tuned", revision_in(folder / "artifacts/published")),
        Offer("damaged", revision_in(folder / "artifacts/demo/damaged-published")),
    ]
    try:
        commands.run("serve", commands.serin("serve", "--detach", *STATE))
        base = revision_in(folder / "artifacts/demo/base-published")
        commands.run("deploy base", commands.serin("deploy", base, *STATE))
        for offer in offers:
            commands.run(f"deploy {offer.name}", commands.serin("deploy", offer.revision, *STATE))
            roll_out(commands, offer)
    except BaseException:
        # The loop of a rollout is a process of its own; where none runs, there is nothing to abort.
        abort = commands.serin("rollout", "abort", "--reason", "the demo was stopped", *OF_ROLLOUTS)
        commands.run("abort", abort, expected=(0, UsageError.exit_code))
        raise
    finally:
        commands.run("stop", commands.serin("stop", *STATE))
    figures = summary(folder, offers, commands.timings_s)
    write_json(folder / REPORTS / "demo.json", figures)
    write_report(folder, figures, folder / REPORTS / "demo.html")
    return figures


def unexpected(figures: Mapping[str, Any]) -> list[str]:
    """What did not go as the demo means to show, one sentence each."""
    faults = [
        f"the {r['canary']} canary was {r['decision']} ({r['reason']}), and not {EXPECTED[r['canary']]}"
        for r in figures["rollouts"]
        if r["decision"] != EXPECTED[r["canary"]]
    ]
    errors = sum(r["client_errors"] for r in figures["rollouts"])
    return faults + ([f"{errors} requests of clients failed"] if errors else [])


def pipeline(commands: Commands) -> None:
    """Everything that DVC caches, stage by stage: the tuned model, the base as a revision, and the damaged model."""
    commands.run("storage", commands.serin("storage"))
    for file in (PIPELINE, DEMO_PIPELINE):
        for stage in yaml.safe_load((commands.folder / file).read_text(encoding="utf-8"))["stages"]:
            target = stage if file == PIPELINE else f"{file}:{stage}"
            commands.run(stage, commands.dvc("repro", "--single-item", target))


def roll_out(commands: Commands, offer: Offer) -> None:
    """Offer a canary while users ask questions, and wait until its rollout has decided."""
    report = commands.folder / REPORTS / f"traffic-{offer.name}.json"
    report.unlink(missing_ok=True)
    users = commands.serin(
        "traffic",
        "--dataset",
        "artifacts/dataset/test.jsonl",
        "--until-decided",
        "--users",
        "8",
        "--seed",
        str(int(os.environ.get("SERIN_DEMO_SEED", "1"))),
        "--report",
        str(report),
    )
    start = commands.serin("rollout", "start", offer.revision, "--wait", *OF_ROLLOUTS)
    with commands.in_background(users, commands.folder / REPORTS / f"traffic-{offer.name}.log") as traffic:
        commands.run(f"rollout {offer.name}", start, expected=(0, GateError.exit_code))
        traffic.wait(timeout=60)


def revision_in(published: Path) -> str:
    """The revision that a ``publish`` output names."""
    record = read_json(published / "published.json")
    return f"{record['name']}@{record['digest']}"
