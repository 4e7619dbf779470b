"""Which revisions this machine serves, or will when it serves again: what its serving state folders declare."""

from collections.abc import Sequence
from pathlib import Path

from serin.clients.serving_state import FolderState


def served_revisions(states: Sequence[Path]) -> dict[str, str]:
    """Revision to what holds it, in words; of a running rollout both its arms are deployed.

    Raises:
        InputError: a state folder is damaged, so that nobody knows.
    """
    held: dict[str, str] = {}
    for folder in states:
        state = FolderState(folder)
        held |= dict.fromkeys(state.topology().revisions, f"deployed in {folder}")
        weights = state.weights()
        arms = (("stable", weights.stable), ("canary", weights.canary))
        held |= {revision: f"{arm} in {folder}" for arm, revision in arms if revision is not None}
    return held


def state_folders(project: Path) -> list[Path]:
    """The serving states of a project: ``.serin/serve``, and those one level deeper, such as the demo's."""
    root = project / ".serin"
    return sorted(path.parent for pattern in ("serve", "*/serve") for path in root.glob(f"{pattern}/topology.json"))
