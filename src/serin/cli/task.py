"""``serin task``."""

import os
import sys

import click


@click.command("task")
def command() -> None:
    """Do one stage as the pod of a Job does it: fetch what goes in from storage, run the stage, store what comes out.

    SERIN_TASK holds the task as JSON; 'serin job render' shows one. Exit codes are the stage's own; 75 means that it was stopped
    and a new checkpoint is in storage.
    """
    from serin.task.run import run

    sys.exit(run(os.environ))
