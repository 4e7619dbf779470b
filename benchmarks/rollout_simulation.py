"""What the rollout's statistics promise, counted over many simulated rollouts through the shipped code.

python benchmarks/rollout_simulation.py [--rollouts 10000] [--processes 2]

Every figure but the peers' comes from ``serin.rollout.simulation``: the shipped e-processes and policy as arrays, which
tests/unit/rollout/test_fleet.py holds to the functions that production calls. It depends on the seed and not on the machine, on
which ten thousand rollouts a line take a quarter of an hour (two cores, shared with other work).
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe
from rollout_peers import Array, Minutes, failed_checks, kayenta

from serin.clients.files import write_atomically
from serin.core.params import RolloutParams
from serin.rollout.fleet import ABORTED, PROMOTED, Counts, Fleet
from serin.rollout.simulation import Rates, simulate

RESULT = Path(__file__).parents[1] / "benchmarks/results/rollout_simulation.txt"
RATE = 20.0
"""Users a second, each a unit; a batch is a second, or 1 % of the time so far where that is longer."""
GROWTH = 0.01
LONG_S = 7200.0
ERRORS = 0.01
_CHUNK = 1000
SPREAD = 0.5
"""Standard deviation of log latency."""


def params(**given: Any) -> RolloutParams:
    """A canary at 10 % of the users, one metric, alpha 1 %, which can only be aborted unless ``hold_s`` lets it promote."""
    usual = {"steps": [0.1, 1.0], "hold_s": 1e12, "warmup_s": 0, "horizon_s": 1e-3, "min_units": 1}
    usual |= {"max_time_s": LONG_S, "alpha_abort": 0.01, "metrics": {"error": {"delta": 0.0}}}
    return RolloutParams.model_validate({**usual, **given})


@dataclass(frozen=True)
class Case:
    """One line of the first tables."""

    name: str
    decision: int
    params: RolloutParams
    rates: Callable[[float], Rates]
    growth: float = GROWTH
    limit: str = ""


def constant(metric: str, stable: float, canary: float) -> Callable[[float], Rates]:
    """The same at any time."""
    return _Constant({metric: (stable, canary)})  # type: ignore[dict-item]  # its callers name metrics


@dataclass(frozen=True)
class _Constant:
    rates: Rates

    def __call__(self, _: float) -> Rates:
        return self.rates


def outage(t: float) -> Rates:
    """Both arms fail 30 % for ten minutes."""
    rate = 0.3 if 1800 <= t < 2400 else ERRORS
    return {"error": (rate, rate)}


def drift(t: float) -> Rates:
    """Both arms go from 1 % to 6 %."""
    rate = ERRORS + 0.05 * min(1.0, t / LONG_S)
    return {"error": (rate, rate)}


def worse_while_falling(t: float) -> Rates:
    """Stable falls from 3 % to 1 %, the canary is one point worse throughout (of what stable answers well: delta's unit)."""
    stable = 0.03 - 0.02 * min(1.0, t / 3600)
    return {"error": (stable, stable + (1 - stable) * 0.01)}


STEPS = [{"weight": w, "hold_s": 1800} for w in (0.05, 0.1, 0.25)] + [{"weight": 0.5, "hold_s": 1e12}, {"weight": 1.0}]
RISING = [{"weight": w, "hold_s": 600} for w in (0.05, 0.1, 0.2, 0.3, 0.4)] + [{"weight": 0.5}, {"weight": 1.0}]


def slow(regression: float, quantile: float, tolerance: float) -> tuple[float, float]:
    """Shares above stable's quantile: log-normal latency that is longer by ``regression``, threshold and tolerance as given."""
    above = float(np.quantile(np.random.default_rng(0).standard_normal(4_000_000), quantile))
    shift = (math.log(1 + tolerance) - math.log(1 + regression)) / SPREAD
    return 1 - quantile, 0.5 * math.erfc((above + shift) / math.sqrt(2))


def cases() -> tuple[list[Case], list[Case], list[Case]]:
    """False aborts, regressions caught, promotions."""
    delta = RolloutParams().metrics["error"].delta
    default = {"metrics": {"error": {"delta": delta}}}
    of_stay = constant("error", ERRORS, ERRORS)
    false = [
        Case(f"identical arms, {name}", ABORTED, params(**given), of_stay, limit="<= 1 %")
        for name, given in (("delta 0", {}), (f"delta {delta:g}", default))
    ]
    false += [
        Case("at the margin, delta 0.01", ABORTED, params(**default), constant("error", 0.01, 0.0199), limit="<= 1 %"),
        Case("shared outage, 30 % for 10 min", ABORTED, params(), outage, limit="<= 1 %"),
        Case("shared drift, 1 % to 6 %", ABORTED, params(), drift, limit="<= 1 %"),
        Case("steps 5, 10, 25, 50 % with drift", ABORTED, params(steps=STEPS), drift, limit="<= 1 %"),
    ]
    caught = []
    for d in (0.0, 0.005, delta):
        for bad in (0.02, 0.03, 0.05, 0.10):
            if bad > ERRORS + d * 1.01:
                limit = "<= 460" if (d, bad) == (0.0, 0.03) else ""
                name = f"errors 1 % to {bad:.0%}, delta {d:g}"
                given = params(metrics={"error": {"delta": d}}, max_time_s=4 * LONG_S)
                caught.append(Case(name, ABORTED, given, constant("error", ERRORS, bad), 0.005, limit))
    for quantile, tolerance, d in ((0.5, 0.0, 0.0), (0.9, 0.0, 0.0), (0.9, 0.1, 0.0), (0.9, 0.1, 0.02)):
        name = f"latency +25 %, p{quantile * 100:.0f}, tolerance {tolerance:g}, delta {d:g}"
        given = params(metrics={"ttft": {"delta": d}}, max_time_s=4 * LONG_S)
        caught.append(Case(name, ABORTED, given, constant("ttft", *slow(0.25, quantile, tolerance)), 0.005))
    for d in (0.0, RolloutParams().metrics["feedback"].delta):
        given = params(metrics={"feedback": {"delta": d}}, max_time_s=4 * LONG_S)
        caught.append(
            Case(f"feedback 0.80 to 0.70, delta {d:g}", ABORTED, given, constant("feedback", 0.2, 0.3), 0.005)
        )
    never_aborts = {"alpha_abort": 1e-30, "hold_s": 0.0}
    promoted = [
        Case(
            f"one point worse, 5 to 50 %, base 3 to 1 %, alpha {alpha:g}",
            PROMOTED,
            params(**default, **never_aborts, steps=RISING, alpha_promote=alpha),
            worse_while_falling,
            limit=f"<= {alpha:.0%}",
        )
        for alpha in (0.05, 0.01)
    ]
    for alpha in (0.05, 0.01):
        given = params(**default, **never_aborts, alpha_promote=alpha, max_time_s=4 * LONG_S)
        limit = "<= 900" if alpha == 0.05 else ""
        promoted.append(Case(f"equal, 1 %, delta 0.01, alpha {alpha:g}", PROMOTED, given, of_stay, 0.005, limit))
    for name, canary in (("half the errors", ERRORS / 2), ("no errors", 0.0)):
        given = params(**default, **never_aborts, max_time_s=4 * LONG_S)
        rates = constant("error", ERRORS, canary)
        promoted.append(Case(f"{name}, delta 0.01, alpha 0.05", PROMOTED, given, rates, 0.005))
    return false, caught, promoted


@dataclass(frozen=True)
class Counted:
    """What a case came to: the share so decided, and the canary's units, median and 90 %."""

    share: float
    median: float
    most: float
    seconds: float = field(compare=False)


def count(case: Case, rollouts: int, seed: int) -> Counted:
    """Run one case."""
    began = time.perf_counter()
    ended = simulate(case.params, case.rates, RATE, rollouts, seed, 1.0, case.growth)
    needed = [ended.needed(case.decision, q)[0] for q in (0.5, 0.9)]
    return Counted(float(ended.decided(case.decision).mean()), *needed, time.perf_counter() - began)


def sticky(rollouts: int, seed: int) -> tuple[float, float]:
    """False aborts under users with a heavy tail of requests and an error rate of their own: per user, and per request.

    2,000 users, Pareto (shape 1.2) requests, each user's error rate drawn around 1 % (Beta, most users have none);
    frequent users come first. Counting every request of a user who stays in one arm is what breaks per-request tests.
    """
    shares = [_sticky(min(_CHUNK, rollouts - at), seed + at) for at in range(0, rollouts, _CHUNK)]
    by_user, by_request = np.sum(shares, axis=0) / rollouts
    return float(by_user), float(by_request)


def _sticky(rollouts: int, seed: int) -> tuple[int, int]:
    draw = np.random.default_rng(seed)
    users, size = 2000, 50
    by_user, by_request = Fleet.start(params(), rollouts), Fleet.start(params(), rollouts)
    requests = np.minimum(1 + draw.pareto(1.2, (rollouts, users)), 2000).astype(np.int64)
    requests = np.take_along_axis(
        requests, np.argsort(draw.exponential(size=requests.shape) / requests, axis=1), axis=1
    )
    rates = draw.beta(0.1, 9.9, requests.shape)
    canary = draw.random(requests.shape) < 0.1
    first_bad = draw.random(requests.shape) < rates
    all_bad = draw.binomial(requests, rates)
    weight = np.full(rollouts, 0.1)
    for start in range(0, users, size):
        these = slice(start, start + size)
        ones = np.ones((rollouts, size), dtype=np.int64)
        for fleet, units, bad in ((by_user, ones, first_bad), (by_request, requests[:, these], all_bad)):
            of_batch = bad[:, these]
            arm = canary[:, these]
            sums = [
                np.sum(part, axis=1).astype(float)
                for part in (units * ~arm, of_batch * ~arm, units * arm, of_batch * arm)
            ]
            fleet.take_in({"error": Counts(*sums)}, weight)
    limit = math.log(100)
    aborted = [int(np.sum(fleet.metrics["error"].peak_abort >= limit)) for fleet in (by_user, by_request)]
    return aborted[0], aborted[1]


def peer_minutes(rates: Callable[[float], Rates], rollouts: int, seed: int, metric: str, length: int) -> Minutes:
    """Shares of bad outcomes a minute, of the canary and of a baseline of its size."""
    draw = np.random.default_rng(seed)
    units = int(RATE * 60 * 0.1)
    both = [rates(minute * 60.0)[metric] for minute in range(length)]  # type: ignore[index]  # its callers name metrics
    shares = [draw.binomial(units, [pair[arm] for pair in both], (rollouts, length)) / units for arm in (1, 0)]
    return Minutes(shares[0], shares[1], units)


def latency_minutes(
    regression: float, rollouts: int, seed: int, quantile: float, length: int, load: float = 1.0
) -> Minutes:
    """A quantile of log-normal latency a minute (median 1 s); ``load`` multiplies both arms' from half-way on."""
    draw = np.random.default_rng(seed)
    units = int(RATE * 60 * 0.1)
    sides = []
    for factor in (1 + regression, 1.0):
        columns = []
        for minute in range(length):
            shift = math.log(factor * (load if minute >= length // 2 else 1.0))
            columns.append(
                np.quantile(np.exp(shift + SPREAD * draw.standard_normal((rollouts, units))), quantile, axis=1)
            )
        sides.append(np.stack(columns, axis=1))
    return Minutes(sides[0], sides[1], units)


def above(limit: float) -> Callable[[Minutes], Any]:
    """A check that fails where the canary's figure is above a fixed limit."""
    return lambda minutes: minutes.canary > limit


PEERS: Mapping[str, Callable[[Minutes], Array]] = {
    "Argo, success >= 95 %, > 3 fail": lambda m: failed_checks(m, above(0.05), 3),
    "Argo, success >= 99 %, > 3 fail": lambda m: failed_checks(m, above(0.01), 3),
    "Flagger, success >= 99 %, 10 fail": lambda m: failed_checks(m, above(0.01), 9),
    "Flagger, success >= 95 %, 10 fail": lambda m: failed_checks(m, above(0.05), 9),
    "Kayenta, every 10 min": kayenta,
}


def peers_on_errors(rollouts: int, seed: int) -> list[str]:
    """False aborts and canary units to abort, by rule."""
    length = int(LONG_S / 60)
    worlds = [constant("error", ERRORS, ERRORS), outage, drift]
    worlds += [constant("error", ERRORS, bad) for bad in (0.02, 0.03, 0.05, 0.10)]
    found = {name: [] for name in PEERS}
    for number, world in enumerate(worlds):
        minutes = peer_minutes(world, rollouts, seed + number, "error", length)
        for name, rule in PEERS.items():
            aborted = rule(minutes)
            found[name].append(
                f"{np.mean(np.isfinite(aborted)):.3f}" if number < 3 else units_in_words(np.median(aborted))
            )
    return [f"{name:<46}" + "".join(f"{cell:>9}" for cell in cells) for name, cells in found.items()]


def peers_on_the_rest(rollouts: int, seed: int) -> list[str]:
    """Latency +25 % and feedback 0.80 to 0.70: false aborts on equal arms, under a shared load, and units to abort."""
    fewer = max(100, rollouts // 20)
    lines = []
    p95 = math.exp(1.645 * SPREAD)
    of_latency: dict[str, tuple[float, Callable[[Minutes], Array]]] = {
        "latency: Argo, p95 < 1.2 of the usual, > 3 fail": (0.95, lambda m: failed_checks(m, above(1.2 * p95), 3)),
        "latency: Flagger, p95 < 1.1 of it, 10 fail": (0.95, lambda m: failed_checks(m, above(1.1 * p95), 9)),
        "latency: Kayenta, medians every 10 min": (0.5, kayenta),
    }
    for name, (quantile, rule) in of_latency.items():
        worlds = ((0.0, 1.0), (0.0, 1.4), (0.25, 1.0))
        runs = [rule(latency_minutes(r, fewer, seed, quantile, 60, load)) for r, load in worlds]
        cells = [f"{np.mean(np.isfinite(run)):.3f}" for run in runs[:2]] + [units_in_words(np.median(runs[2]))]
        lines.append(f"{name:<50}" + "".join(f"{cell:>12}" for cell in cells))
    of_feedback: dict[str, Callable[[Minutes], Array]] = {
        "feedback: Argo, mean >= 0.75, > 3 fail": lambda m: failed_checks(m, above(0.25), 3),
        "feedback: Flagger, mean >= 0.75, 10 fail": lambda m: failed_checks(m, above(0.25), 9),
        "feedback: Kayenta, every 10 min": kayenta,
    }
    for name, rule in of_feedback.items():
        runs = [
            rule(peer_minutes(_Constant({"feedback": pair}), rollouts, seed, "feedback", int(LONG_S / 60)))
            for pair in ((0.2, 0.2), (0.28, 0.28), (0.2, 0.3))
        ]
        cells = [f"{np.mean(np.isfinite(run)):.3f}" for run in runs[:2]] + [units_in_words(np.median(runs[2]))]
        lines.append(f"{name:<50}" + "".join(f"{cell:>12}" for cell in cells))
    return lines


def units_in_words(units: float) -> str:
    """A number of units, or never."""
    return f"{units:,.0f}" if math.isfinite(units) else "never"


def table(title: str, cases: Sequence[Case], counted: Sequence[Counted]) -> list[str]:
    """Lines of one table."""
    lines = ["", title, f"{'':<50}{'decided so':>12}{'median':>10}{'90 %':>10}{'asked':>10}"]
    for case, c in zip(cases, counted, strict=True):
        lines.append(
            f"{case.name:<50}{c.share:>12.4f}{units_in_words(c.median):>10}{units_in_words(c.most):>10}{case.limit:>10}"
        )
    return lines


def main() -> None:
    """Run every case, print the tables and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began = time.perf_counter()
    false, caught, promoted = cases()
    every = [*false, *caught, *promoted]
    with ProcessPoolExecutor(given.processes) as pool:
        users = pool.submit(sticky, given.rollouts, 7)
        errors = pool.submit(peers_on_errors, given.rollouts, 11)
        rest = pool.submit(peers_on_the_rest, given.rollouts, 12)
        running = [pool.submit(count, case, given.rollouts, 100 + n) for n, case in enumerate(every)]
        counted = []
        for case, one in zip(every, running, strict=True):
            counted.append(one.result())
            print(f"{case.name}: {counted[-1]}", flush=True)
        by_user, by_request = users.result()
    ends = [len(false), len(false) + len(caught)]
    lines = [
        describe(),
        f"{given.rollouts:,} rollouts a line, {RATE:g} users a second, canary 10 % unless it says otherwise, alpha 1 % for",
        "an abort; units are the canary's. A false abort is looked for after every batch of two hours (14,400 canary units",
        "at 10 %).",
        *table("aborted, although no worse than delta", false, counted[: ends[0]]),
        f"{'sticky heavy-tailed users, by first exposure':<50}{by_user:>12.4f}{'':>20}{'<= 1 %':>10}",
        f"{'the same, counting each request (not what Serin does)':<53}{by_request:>9.4f}",
        *table("aborted, and rightly", caught, counted[ends[0] : ends[1]]),
        *table("promoted (aborts switched off; one point worse must not be)", promoted, counted[ends[1] :]),
        "",
        "rules of other tools on errors: share aborted with equal arms, shared outage, shared drift; then median canary units",
        "to abort where the canary has 2, 3, 5, 10 % errors",
        *errors.result(),
        "",
        f"{'and on the rest':<50}{'equal arms':>12}{'both worse':>12}{'regression':>12}",
        *rest.result(),
        "both worse: latency of both arms times 1.4, feedback of both 0.72. Latency: a twentieth of the rollouts, one hour.",
    ]
    text = "\n".join(lines) + "\n"
    write_atomically(RESULT, text.encode())
    print(text, end="")
    print(f"took {time.perf_counter() - began:.0f} s in {given.processes} processes, CPU of the machine shared or not")


if __name__ == "__main__":
    main()
