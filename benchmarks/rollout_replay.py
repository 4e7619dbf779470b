"""How often rollouts decide rightly, over seeds: Serin's own policy on the answers that the real models gave.

python benchmarks/rollout_replay.py [--seeds 20] [--rate 6]

Needs what `make demo` leaves: the answers of base, tuned and damaged model to the test questions. Each user is a unit
of its own, asks one question, and is told the recorded answer of the revision that the traffic split gives it; its
feedback is graded as `serin traffic` grades. Evidence, policy and traffic split are the product's; time is virtual.
"""

import argparse
import itertools
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import describe

from serin.cli.options import load_params
from serin.clients.files import read_jsonl, write_atomically
from serin.core.conversation import Conversation
from serin.core.params import RolloutParams
from serin.core.traffic import assign
from serin.rollout.evidence import Evidence, observations_of
from serin.rollout.planning import least_units
from serin.rollout.policy import begin_counting, step
from serin.rollout.state import RolloutState, new_rollout
from serin.rollout.users import grade

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/rollout_replay.txt"
TICK_S = 0.5
ANSWER_S = 0.4
CASES = (("tuned", "base", "tuned"), ("damaged", "tuned", "damaged"), ("control", "tuned", "tuned"))
"""What is shown, the stable model and the canary."""

Scores = Mapping[str, float]
"""Question id to feedback score."""


def recorded_scores(pattern: str | None) -> dict[str, Scores]:
    """Each model's feedback score on every test question."""
    test = {c["meta"]["id"]: Conversation.from_dict(c) for c in read_jsonl(ROOT / "artifacts/dataset/test.jsonl")}
    files = {
        "base": ("artifacts/evaluation/answers.jsonl", "base"),
        "tuned": ("artifacts/evaluation/answers.jsonl", "candidate"),
        "damaged": ("artifacts/demo/damaged-evaluation/answers.jsonl", "candidate"),
    }
    return {
        model: {
            row["id"]: grade(row["models"][key]["text"], test[row["id"]], pattern)
            for row in read_jsonl(ROOT / path)
            if row["id"] in test
        }
        for model, (path, key) in files.items()
    }


def replay(stable: Scores, canary: Scores, params: RolloutParams, seed: int, rate: float) -> RolloutState:
    """One rollout from its start to its decision; users come as a Poisson process of ``rate`` a second."""
    draw = random.Random(seed)
    state = new_rollout("replay", "stable@1", "canary@1", f"replay-{seed}", params, 0.0)
    evidence = Evidence(state.id, state.stable)
    due = draw.expovariate(rate)
    for number in itertools.count(1):
        now = number * TICK_S
        records = []
        while due < now:
            unit = f"{draw.getrandbits(128):032x}"
            arm = assign(unit, state.salt, {"stable": 1 - state.weight, "canary": state.weight})
            question = draw.choice(sorted(stable))
            common = {"rollout": state.id, "unit": unit, "request": unit, "arm": arm, "assigned_t": due}
            common |= {"revision": f"{arm}@1", "weight": state.weight, "failover": False, "t": due + ANSWER_S}
            score = (canary if arm == "canary" else stable)[question]
            records.append({**common, "type": "outcome", "error": 0, "ttft_s": ANSWER_S / 4})
            records.append({**common, "type": "feedback", "score": score})
            due += draw.expovariate(rate)
        evidence.ingest(records, params.horizon_s)
        state = begin_counting(state, [], now)
        closed = evidence.due(state, now)
        state, _ = step(state, observations_of(closed), now)
        evidence.settle(each.unit for each in closed)
        if state.decision != "running":
            return state
    raise AssertionError("unreachable")


def table(models: Mapping[str, Scores], params: RolloutParams, seeds: Sequence[int], rate: float) -> str:
    """One line a case."""
    least = ", ".join(
        f"{n}: delta {m.delta:g}, at least {least_units(params)[n]} canary users" for n, m in params.metrics.items()
    )
    lines = [
        describe(),
        f"{len(seeds)} seeds, {rate:g} users a second, each a unit of its own; to promote: {least}",
        "",
        f"{'canary':<9}{'stable':<8}{'bad: stable':>12}{'canary':>8}{'promoted':>10}{'aborted':>9}"
        f"{'users (median)':>16}{'most':>6}{'seconds (median)':>18}",
    ]
    for name, stable, canary in CASES:
        ended = [replay(models[stable], models[canary], params, seed, rate) for seed in seeds]
        units = [sum(state.units.values()) for state in ended]
        seconds = [state.ended_t or 0.0 for state in ended]
        bad = {m: statistics.fmean(s < params.feedback_bad_below for s in models[m].values()) for m in (stable, canary)}
        decisions = [state.decision for state in ended]
        lines.append(
            f"{name:<9}{stable:<8}{bad[stable]:>12.3f}{bad[canary]:>8.3f}{decisions.count('promoted'):>10}"
            f"{decisions.count('aborted'):>9}{statistics.median(units):>16.0f}{max(units):>6}"
            f"{statistics.median(seconds):>18.0f}"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rate", type=float, default=6.0)
    given = parser.parse_args()
    params = load_params(ROOT / "params.yaml")
    models = recorded_scores(params.evaluate.article_pattern)
    text = table(models, params.rollout, range(1, given.seeds + 1), given.rate)
    write_atomically(RESULT, text.encode())
    print(text, end="")


if __name__ == "__main__":
    main()
