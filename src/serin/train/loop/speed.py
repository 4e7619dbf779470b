"""How fast this attempt runs, and how long it will take."""

from collections import deque
from collections.abc import Callable

from serin.train.watch.watcher import Speed

_STEPS_LOOKED_AT = 20


class Speedometer:
    """Tokens a second over the last steps; what stands between steps (evaluations, saves) counts towards the time left."""

    def __init__(self, clock: Callable[[], float], steps: int) -> None:
        self.clock = clock
        self.steps = steps
        self.first_step_at: float | None = None
        self._recent: deque[tuple[float, int]] = deque(maxlen=_STEPS_LOOKED_AT)
        self._began_at = 0.0
        self._done = 0

    def step_begins(self) -> None:
        """Start of a step."""
        self._began_at = self.clock()
        if self.first_step_at is None:
            self.first_step_at = self._began_at

    def step_ends(self, tokens: int) -> None:
        """End of a step over ``tokens`` tokens."""
        self._recent.append((self.clock() - self._began_at, tokens))
        self._done += 1

    def read(self, step: int, micro_batch_size: int) -> Speed:
        """The figures after ``step`` steps."""
        spent_s = sum(seconds for seconds, _ in self._recent)
        tokens = sum(tokens for _, tokens in self._recent)
        a_step_s = (self.clock() - (self.first_step_at or self.clock())) / max(1, self._done)
        return Speed(tokens / spent_s if spent_s else 0.0, a_step_s * (self.steps - step), micro_batch_size)
