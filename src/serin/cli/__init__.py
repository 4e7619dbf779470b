"""The command line. One thin file a verb, imported only when that verb runs; heavy imports stand inside the verbs."""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from serin.core.errors import PreemptedError, SerinError

VERBS = {
    "init": "Start a project of your own from a look at its data.",
    "demo": "Take the example from data to production.",
    "base": "Verify the base model, or pre-train the example's anew.",
    "prepare": "Clean, deduplicate and split raw data.",
    "train": "Fine-tune the base model with QLoRA.",
    "merge": "Add the adapter to the base model.",
    "quantise": "Make a merged model smaller, as a candidate of its own.",
    "evaluate": "Compare a candidate with base and production, and judge it.",
    "chat": "Talk to a model, base beside tuned.",
    "publish": "Make a merged model visible to serving.",
    "models": "List, trace, compare, name and delete published models.",
    "gc": "Remove stored models that nothing refers to.",
    "storage": "Point DVC at the storage that params.yaml names.",
    "serve": "Start the gateway and the stable revision.",
    "deploy": "Bring up a published revision beside the others.",
    "undeploy": "Take a deployed revision away without a failed request.",
    "keys": "Make, list and revoke the gateway's API keys.",
    "rollout": "Move traffic to a canary on evidence, or back.",
    "experiment": "Compare several revisions at fixed shares of the users.",
    "traffic": "Play users who ask held-out questions and post feedback.",
    "job": "Run the stages on a Kubernetes cluster, and watch them.",
    "controller": "Run FineTunes on Kubernetes, or print their CRDs.",
    "task": "Do one stage as the pod of a Job does it.",
    "stop": "Stop serving, and every process that belongs to it.",
}


class _Verbs(click.Group):
    """Finds verbs by name and imports the file of the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"serin.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="serin")
def cli() -> None:
    """From a file of question-answer data to a fine-tuned model in production, proved better on the way."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; see ``serin.core.errors`` for the codes.

    SIGTERM unwinds the command as Ctrl-C does, so that scratch folders go and what it started is ended. One that has failed says
    why and ends with its own code, even where torchrun ends it meanwhile because another process has failed too; one that was
    asked to stop, and has saved, still copies its checkpoint.
    """
    signal.signal(signal.SIGTERM, _terminated)
    os.environ.setdefault("TQDM_DISABLE", "1")  # a verb shows its own progress, without the bars of libraries between
    try:
        cli.main(args=arguments, prog_name="serin", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except SerinError as error:
        signal.signal(signal.SIGTERM, _ends_already)
        click.echo(f"serin: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if not error.strerror:
            raise
        signal.signal(signal.SIGTERM, _ends_already)
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"serin: {error.strerror}{where}; nothing half-written was kept, run the command again", err=True)
        sys.exit(1)


def _ends_already(number: int, frame: FrameType | None) -> None:
    """Nothing: the last words are said."""


def _terminated(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is signal's
    if isinstance(sys.exception(), PreemptedError):
        return  # torchrun, when another process has left before this one: what is handled now is the way out
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    click.echo("serin: stopped by SIGTERM; nothing half-written was kept, run the command again", err=True)
    sys.exit(1)
