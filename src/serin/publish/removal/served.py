"""Which revisions are served, or will be when serving starts again: what serving states declare."""

from collections.abc import Sequence
from pathlib import Path

from serin.clients.serving_state import FolderState, ServingState


def served_revisions(states: Sequence[ServingState]) -> dict[str, str]:
    """Revision to what holds it, in words; whatever traffic is split between is deployed.

    Raises:
        InputError: a state is damaged, so that nobody knows.
        RetryableError: the API server of one does not answer.
    """
    held: dict[str, str] = {}
    for state in states:
        held |= dict.fromkeys(state.topology().revisions, f"deployed in {state.name}")
        weights = state.weights()
        split = weights.revisions() | ({weights.shadow} if weights.shadow is not None else set())
        held |= {revision: f"{weights.use_of(revision)} in {state.name}" for revision in split}
    return held


def state_folders(project: Path) -> list[FolderState]:
    """The serving states of a project: ``.serin/serve``, and those one level deeper, such as the demo's."""
    root = project / ".serin"
    found = (path.parent for pattern in ("serve", "*/serve") for path in root.glob(f"{pattern}/topology.json"))
    return [FolderState(folder) for folder in sorted(found)]
