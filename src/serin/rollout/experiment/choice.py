"""Which revision of an experiment a person names."""

from serin.core.errors import UsageError
from serin.core.revision import Revision
from serin.rollout.experiment.state import ExperimentState


def chosen_arm(state: ExperimentState, wanted: str) -> str:
    """The one variant that ``wanted`` names, whole or by its first digits. Raises UsageError."""
    given = str(Revision.parse(wanted))
    matches = [arm for arm in state.variants if arm.startswith(given)]
    if len(matches) != 1:
        found = "no variant" if not matches else f"the beginning of {len(matches)} variants"
        raise UsageError(f"{given} is {found} of experiment {state.id}: {', '.join(state.variants)}")
    return matches[0]
