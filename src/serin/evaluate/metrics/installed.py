"""Metrics of other packages: entry points in the group ``serin.metrics``.

    [project.entry-points."serin.metrics"]
    politeness = "my_package.politeness:Politeness"

An entry point is a callable that takes ``EvaluateParams`` and returns a ``Metric`` of the same name.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from serin.core.errors import ConfigError
from serin.core.params import EvaluateParams
from serin.evaluate.metrics.metric import Better, Exchange, Metric, Scores

GROUP = "serin.metrics"
_DIRECTIONS: tuple[Better, ...] = ("higher", "lower", "neither")


@dataclass(frozen=True, slots=True)
class InstalledMetric:
    """Another package's metric, whose scores are checked."""

    metric: Metric
    name: str
    better: Better
    package: str

    def score(self, exchanges: Sequence[Exchange]) -> Scores:
        """The package's scores, as plain numbers. Raises ConfigError where it fails, or returns what cannot be compared."""
        try:
            scores: Any = self.metric.score(exchanges)
        except Exception as error:
            raise self._fault(f"failed on {len(exchanges)} answers: {type(error).__name__}: {error}") from error
        if not isinstance(scores, Scores):
            raise self._fault(f"returned {type(scores).__name__}, expected serin.evaluate.metrics.metric.Scores")
        values = self._numbers(scores.values, "values", len(exchanges))
        weights: tuple[float, ...] | None = None
        if scores.weights is not None:
            weights = tuple(0.0 if w is None else w for w in self._numbers(scores.weights, "weights", len(exchanges)))
            if any(weight < 0 for weight in weights):
                raise self._fault("returned weights below 0, expected 0 or more")
        unknown = scores.unknown
        if unknown is not None and len(unknown) != len(exchanges):
            raise self._fault(f"returned {len(unknown)} counts of unknown tokens for {len(exchanges)} answers")
        missing = frozenset(scores.missing)
        if not missing <= set(range(len(exchanges))):
            raise self._fault(f"returned {sorted(missing)} as missing, expected numbers of answers from 0")
        return Scores(values, weights, bool(scores.is_log), unknown, missing)

    def _numbers(self, found: Iterable[Any], what: str, expected: int) -> tuple[float | None, ...]:
        try:
            numbers = tuple(None if value is None else float(value) for value in found)
        except (TypeError, ValueError) as error:
            raise self._fault(
                f"returned {what} that are no numbers ({error}), expected a number or None each"
            ) from error
        if len(numbers) != expected:
            raise self._fault(f"returned {len(numbers)} {what} for {expected} answers, expected one each")
        for at, number in enumerate(numbers):
            if number is not None and not math.isfinite(number):
                raise self._fault(f"returned {number} for answer {at + 1}, expected a finite number or None")
        return numbers

    def _fault(self, what: str) -> ConfigError:
        return ConfigError(
            f"metric {self.name} of package {self.package} {what}: mend the package, or take {self.name} off evaluate.metrics"
        )


def find_installed(taken: Collection[str]) -> dict[str, EntryPoint]:
    """What installed packages offer, by name. Raises ConfigError where two have one name, or one has a name in ``taken``."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, _package(e))):
        if entry.name in taken:
            raise ConfigError(
                f"package {_package(entry)} offers a metric {entry.name}, which is a name of Serin's own: uninstall the package, "
                "or have the metric renamed"
            )
        if entry.name in found:
            raise ConfigError(
                f"packages {_package(found[entry.name])} and {_package(entry)} both offer a metric {entry.name}: uninstall one"
            )
        found[entry.name] = entry
    return found


def load_installed(entry: EntryPoint, params: EvaluateParams) -> InstalledMetric:
    """Import the package and build its metric. Raises ConfigError where that fails, or is no metric of that name."""
    package = _package(entry)
    whose = f"metric {entry.name} of package {package}"
    try:
        metric: Any = entry.load()(params)
    except Exception as error:
        raise ConfigError(
            f"{whose} cannot be built from {entry.value} ({type(error).__name__}: {error}): mend the package, or take "
            f"{entry.name} off evaluate.metrics"
        ) from error
    name, better = getattr(metric, "name", None), getattr(metric, "better", None)
    if not callable(getattr(metric, "score", None)):
        raise ConfigError(f"{whose}: {entry.value} made {type(metric).__name__}, which has no method score(exchanges)")
    if name != entry.name:
        raise ConfigError(f"{whose} calls itself {name!r}: expected the entry point's name; mend the package")
    direction = next((known for known in _DIRECTIONS if known == better), None)
    if direction is None:
        raise ConfigError(f"{whose} has better = {better!r}: expected one of {', '.join(_DIRECTIONS)}")
    return InstalledMetric(metric, entry.name, direction, package)


def _package(entry: EntryPoint) -> str:
    if entry.dist is None:
        return entry.module
    return f"{entry.dist.name} {entry.dist.version}"
