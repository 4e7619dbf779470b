"""How a FineTune may be called: the names of Jobs and pods begin with its own, and must fit into what holds them."""

import re

from serin.core.resources.finetune import Run

NAME_LENGTH = 40
"""Longest name: ``<name>-evaluate-<uid8>`` with a pod's suffix has to fit into a label (63)."""
JOBSET_NAME_LENGTH = 33
"""The same of one that trains on several nodes: JobSet's pods are called ``<name>-train-<uid8>-run-0-<63>-<5 more>``."""
JOBSET_NAME = "[a-z]([-a-z0-9]*[a-z0-9])?"
"""What JobSet makes names of: a DNS label (RFC 1035) that begins with a letter."""


def needs_jobset(run: Run) -> bool:
    """Whether one of its stages runs in several pods."""
    return run.placement.nodes > 1 and "train" in run.stages


def longest_name(run: Run) -> int:
    """Characters that the name of its FineTune may have."""
    return JOBSET_NAME_LENGTH if needs_jobset(run) else NAME_LENGTH


def faults_of_name(name: str, run: Run) -> list[str]:
    """What is wrong with the name of a run's FineTune, one line each."""
    many, longest = needs_jobset(run), longest_name(run)
    found = []
    if len(name) > longest:
        where = f" with placement.nodes = {run.placement.nodes}" if many else ""
        found.append(f"metadata.name = {name}: must be at most {longest} characters{where}; choose a shorter one")
    if many and not re.fullmatch(JOBSET_NAME, name):
        found.append(f"metadata.name = {name}: must be a DNS label that begins with a letter, as JobSet demands")
    return found
