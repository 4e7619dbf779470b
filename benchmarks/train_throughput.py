"""Training: Serin against TRL's SFTTrainer and LLaMA-Factory, on short question-answer data.

python benchmarks/train_throughput.py [--rounds 5] [--steps 93] [--large-rounds 3] [--large-steps 20] [--no-large]
                                      [--only SUBSTRING ...]

Every run gets the example's train split, QLoRA in NF4 with double quantisation, rank 32 on all linear layers, the same rate, its
schedule, the same number of steps with the same tokens on average, and a seed a round. Serin runs as ``serin train``, and the
peers as their defaults are and, for TRL, in its faster settings too, each tool in an environment of its own, with adapters in
float32 as Serin's; what differs else is said in ``peers/train_*.py``. There is no warm-up: that of the peers begins at a rate
of zero, and a lost step of so few shows in the loss. Two base models: the example's, and a larger one with random weights,
for speed alone.

Rounds are interleaved, and each run is a process of its own. Seconds are those from the end of one step to the end of the next,
the first five left out. Tokens are those that are no padding. Ratios are geometric means over the rounds, with 95 % bootstrap
intervals. The validation loss is that of the saved adapter, by one piece of code for all. A leak is how far logits of an
example move where tokens of another in its batch are changed, in the model and with the collator of that run.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from environment import peers_python, serin_python
from machine import describe

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULT = HERE / "results/train_throughput.txt"
EXAMPLE_BASE = ROOT / "examples/labour-law/base"
WARM_UP_STEPS = 5
R, ALPHA, RATE, BATCH_SIZE, WARMUP_RATIO = 32, 64, 3e-3, 8, 0.0
LARGE = {"hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 1536, "num_attention_heads": 8}
CHECKPOINT_STEPS = 10
RESAMPLES = 10_000

Run = tuple[str, str]
OURS: tuple[Run, ...] = (("serin", "float32"), ("serin", "bfloat16"))
BEST_OF_TRL: tuple[Run, ...] = tuple(
    ("trl", f"{layout}, {dtype}") for layout in ("padding-free", "packing") for dtype in ("fp32", "bf16")
)
DEFAULTS: tuple[Run, ...] = (("trl", "defaults"), ("llama-factory", "defaults"))
# Looked at for leaks only, since a setting that leaks is no match.
PROBED: tuple[Run, ...] = (
    ("trl", "packing, wrapped"),
    ("llama-factory", "packing"),
    ("llama-factory", "neat packing"),
)
PINS = {"trl": "train_peers_trl.txt", "llama-factory": "train_peers.txt"}
SCRIPTS = {"trl": "peers/train_trl.py", "llama-factory": "peers/train_llamafactory.py"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    seed: int
    tokens_per_s: float
    start_up_s: float
    """From the start of the process to the first step."""
    peak_mib: float
    validation_loss: float
    leak: float


@dataclass(frozen=True, slots=True)
class Bench:
    """One base model, and what every run with it is given."""

    base: Path
    steps: int
    folder: Path
    """Holds ``params.yaml``, ``base`` and ``dataset`` as Serin wants them, and the runs' own folders."""
    data: Mapping[str, Any]
    """The train split as tokens and as messages."""


# ---- Serin, in a process of its own --------------------------------------------------------------------------------------
def serin_train(job: Mapping[str, Any]) -> None:
    """Run ``serin train`` with one more watcher."""
    from serin.cli.train import command
    from serin.core.manifest import Manifest
    from serin.core.params import Params
    from serin.train import stage
    from serin.train.history import StepRecord
    from serin.train.watch.watcher import Phase, Speed, Watcher
    from serin.train.watch.watchers import Watchers

    class Clock:
        """The ends of steps, and what saving takes."""

        def __init__(self) -> None:
            self.began = 0.0
            self.ended_at: list[float] = []
            self.tokens: list[int] = []
            self.saving_s: list[float] = []
            self.peak_mib = 0.0
            self._saves_since: float | None = None

        def entered(self, phase: Phase, _: int) -> None:
            """See ``Watcher``."""
            now = time.time()
            if self._saves_since is not None:
                self.saving_s.append(now - self._saves_since)
            self._saves_since = now if phase == "saving" else None
            if phase == "training":
                self.began = self.began or now

        def stepped(self, record: StepRecord, _: Speed) -> None:
            """See ``Watcher``."""
            self.ended_at.append(time.time())
            self.tokens.append(record.tokens)

        def ended(self, *_: str) -> None:
            """See ``Watcher``."""
            self.peak_mib = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

        def started(self, *_: object) -> None:
            """See ``Watcher``."""

        validated = noted = started

    clock = Clock()
    run = stage.run

    def timed(params: Params, inputs: stage.Inputs, out: Path, watch: Any, options: stage.Options) -> Manifest | None:
        def both(folder: Path) -> Watcher:
            return Watchers([watch(folder), clock])

        return run(params, inputs, out, both, options)

    stage.run = timed
    command.main(job["arguments"], standalone_mode=False)
    found = {
        "start_up_s": clock.began - float(os.environ["STARTED"]),
        "seconds": [end - before for before, end in zip([clock.began, *clock.ended_at], clock.ended_at, strict=False)],
        "tokens": clock.tokens,
        "peak_mib": clock.peak_mib,
        "saving_s": clock.saving_s,
    }
    print(json.dumps(found))


def params_of(setting: str, seed: int, steps: int, out: Path, checkpoints: bool) -> dict[str, Any]:
    """The sections ``train`` and ``runs`` of params.yaml."""
    return {
        "train": {
            "lora": {"r": R, "alpha": ALPHA},
            "learning_rate": RATE,
            "warmup_ratio": WARMUP_RATIO,
            "max_steps": steps,
            "batch_size": BATCH_SIZE,
            "micro_batch_size": BATCH_SIZE,
            "dtype": setting,
            "seed": seed,
            "validation": {"every_steps": 1_000_000, "choose": "last"},
        },
        "runs": {
            "checkpoints": {"every_steps": CHECKPOINT_STEPS if checkpoints else None, "folder": str(out / "runs")}
        },
    }


# ---- any run -------------------------------------------------------------------------------------------------------------
def train(bench: Bench, run: Run, seed: int, steps: int, out: Path, checkpoints: bool = False) -> dict[str, Any]:
    """Train in a process of its own; returns what it printed last."""
    tool, setting = run
    out.mkdir(parents=True)
    if tool == "serin":
        params = {**yaml.safe_load((bench.folder / "params.yaml").read_text())}
        params |= params_of(setting, seed, steps, out, checkpoints)
        (out / "params.yaml").write_text(yaml.safe_dump(params))
        paths = {"params": out / "params.yaml", "base": bench.folder / "base", "dataset": bench.folder / "dataset"}
        paths["out"] = out / "adapter"
        job: dict[str, Any] = {"arguments": [part for name, path in paths.items() for part in (f"--{name}", str(path))]}
        command = [str(serin_python("train")), str(Path(__file__).resolve()), "--job"]
    else:
        job = {
            **bench.data,
            **{"base": str(bench.base), "setting": setting, "seed": seed, "steps": steps, "out": str(out)},
            **{"r": R, "alpha": ALPHA, "learning_rate": RATE, "batch_size": BATCH_SIZE},
            "warmup_steps": round(WARMUP_RATIO * steps),
        }
        command = [str(peers_python(PINS[tool])), str(HERE / SCRIPTS[tool])]
    (out / "job.json").write_text(json.dumps(job))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["STARTED"] = str(time.time())
    done = subprocess.run(
        [*command, str(out / "job.json")], capture_output=True, text=True, check=False, env=environment, cwd=out
    )
    if done.returncode:
        sys.exit(f"{tool}, {setting} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(bench: Bench, run: Run, seed: int) -> Measured:
    """One run, and its adapter's loss on the validation split."""
    out = bench.folder / "runs" / "-".join((*run, str(seed))).replace(", ", "-")
    found = train(bench, run, seed, bench.steps, out)
    loss, leak = judge(bench, out / "adapter")
    return Measured(
        seed,
        sum(found["tokens"][WARM_UP_STEPS:]) / sum(found["seconds"][WARM_UP_STEPS:]),
        found["start_up_s"],
        found["peak_mib"],
        loss,
        found.get("leak", leak),
    )


def judge(bench: Bench, adapter: Path) -> tuple[float, float]:
    """The adapter's loss (nats a token) on the NF4 base that it was trained on, in float32; and whether Serin's batches leak."""
    import torch
    from peft import PeftModel

    from serin.core.params import TrainParams
    from serin.lm.load import load_for_training, load_stops, load_tokenizer
    from serin.lm.packing import find_layout, lay_out, target_logits
    from serin.lm.score import response_likelihood
    from serin.train.data.examples import render_split
    from serin.train.data.splits import read_split

    tokenizer = load_tokenizer(bench.base)
    conversations = read_split(bench.folder / "dataset", "validation")
    stops = load_stops(bench.base, tokenizer)
    examples = render_split(tokenizer, stops, conversations, TrainParams(), "validation").examples
    base = load_for_training(bench.base, nf4=True, dtype=torch.float32, attention="auto")
    model = PeftModel.from_pretrained(base, str(adapter)).eval()
    scored = response_likelihood(model, examples)
    batch = lay_out(examples[:2], find_layout(model))
    first = batch.inputs["input_ids"][0, :20]
    logits = []
    with torch.no_grad():
        for shift in (0, 7):
            first.copy_((first - shift).abs())
            logits.append(target_logits(model, batch)[-10:])
    return scored.nll / scored.tokens, float((logits[0] - logits[1]).abs().max())


# ---- the data, the bases -------------------------------------------------------------------------------------------------
def lay_out_bench(base: Path, steps: int, folder: Path) -> Bench:
    """The example's dataset for one base model, by Serin's own commands."""
    from serin.core.params import TrainParams
    from serin.lm.load import load_stops, load_tokenizer
    from serin.train.data.examples import render_split
    from serin.train.data.splits import read_split

    folder.mkdir()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["base"] = {"model": str(base)}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    serin = [sys.executable, "-m", "serin"]
    paths = {"params": folder / "params.yaml", "base": folder / "base", "dataset": folder / "dataset"}
    for verb, options in (
        ("base", {"params": paths["params"], "out": paths["base"]}),
        ("prepare", {"params": paths["params"], "base": paths["base"], "out": paths["dataset"]}),
    ):
        arguments = [part for name, path in options.items() for part in (f"--{name}", str(path))]
        subprocess.run([*serin, verb, *arguments], cwd=ROOT, check=True, capture_output=True)
    tokenizer = load_tokenizer(base)
    conversations = read_split(paths["dataset"], "train")
    rendered = render_split(tokenizer, load_stops(base, tokenizer), conversations, TrainParams(), "train")
    data = {
        "examples": [{"input_ids": e.input_ids, "labels": e.labels} for e in rendered.examples],
        "messages": [[message.as_dict() for message in c.messages] for c in conversations],
        "tokens_an_example": rendered.tokens / len(rendered.examples),
    }
    return Bench(base, steps, folder, data)


def write_large_base(folder: Path) -> Path:
    """A larger model of the example's architecture, with its tokenizer and random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    config = AutoConfig.from_pretrained(EXAMPLE_BASE)
    for name, value in LARGE.items():
        setattr(config, name, value)
    config.num_key_value_heads = LARGE["num_attention_heads"] // 2
    config.layer_types = ["full_attention"] * LARGE["num_hidden_layers"]
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(EXAMPLE_BASE).save_pretrained(folder)
    GenerationConfig.from_pretrained(EXAMPLE_BASE).save_pretrained(folder)
    return folder


# ---- figures -------------------------------------------------------------------------------------------------------------
def geometric_mean(values: Sequence[float]) -> float:
    """The mean that is right for ratios."""
    return math.exp(statistics.fmean(map(math.log, values)))


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the geometric mean of paired ratios."""
    draw = random.Random(0)
    means = sorted(geometric_mean(draw.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return means[RESAMPLES // 40], means[-RESAMPLES // 40]


def table(bench: Bench, found: Mapping[Run, Sequence[Measured]], rounds: int) -> list[str]:
    """A line a setting: medians, and what the faster of Serin's is against it."""
    from safetensors import safe_open

    with safe_open(bench.base / "model.safetensors", "pt") as weights:
        names = weights.keys()
        parameters = sum(math.prod(weights.get_slice(name).get_shape()) for name in names)
    speed = {run: statistics.median(m.tokens_per_s for m in rows) for run, rows in found.items()}
    best = max((run for run in found if run[0] == "serin"), key=lambda run: speed[run])
    ours = found[best]
    loss = statistics.median(m.validation_loss for m in ours)
    lines = [
        f"{bench.base.name}: {parameters / 1e6:.1f} M parameters; {rounds} rounds of {bench.steps} steps; medians; "
        f"ratio: serin {best[1]} over this",
        "",
        f"{'':<32}{'tokens/s':>9}{'ratio':>8}{'95 %':>15}{'start-up s':>12}{'peak MiB':>10}"
        f"{'val. loss':>11}{'from ours':>11}{'leak':>9}",
    ]
    for run, rows in found.items():
        ratios = [a.tokens_per_s / b.tokens_per_s for a, b in zip(ours, rows, strict=True)]
        low, high = interval(ratios)
        theirs = statistics.median(m.validation_loss for m in rows)
        lines.append(
            f"{' '.join(run):<32}{speed[run]:>9,.0f}{geometric_mean(ratios):>8.2f}{f'{low:.2f} to {high:.2f}':>15}"
            f"{statistics.median(m.start_up_s for m in rows):>12.1f}{statistics.median(m.peak_mib for m in rows):>10,.0f}"
            f"{theirs:>11.4f}{theirs / loss - 1:>+11.1%}{max(m.leak for m in rows):>9.0e}"
        )
    return lines


def compare(bench: Bench, runs: Sequence[Run], rounds: int) -> dict[Run, list[Measured]]:
    """Every run in every round, in turns."""
    found: dict[Run, list[Measured]] = {run: [] for run in runs}
    for round_ in range(rounds):
        for run in runs:
            found[run].append(measure(bench, run, 11 + round_))
            print(bench.base.name, round_, *run, found[run][-1], file=sys.stderr, flush=True)
    return found


def probe(bench: Bench) -> list[str]:
    """A line for each setting that is looked at for leaks only."""
    lines = []
    for run in PROBED:
        out = bench.folder / "probes" / "-".join(run).replace(", ", "-")
        lines.append(f"{' '.join(run):<32}{train(bench, run, 11, 2, out)['leak']:>9.0e}")
    return ["leaks of settings that are not compared", *lines]


def checkpoints(bench: Bench) -> str:
    """What a checkpoint costs the loop."""
    found = train(bench, OURS[0], 11, 5 * CHECKPOINT_STEPS, bench.folder / "checkpoints", checkpoints=True)
    saves = found["saving_s"]
    return (
        f"a checkpoint: {1000 * statistics.median(saves):.0f} ms, median of {len(saves)} ({bench.base.name}); its copy to "
        "storage stops nothing"
    )


def main() -> None:
    """Run every setting in every round, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=93, help="of the example's base; one pass over the data")
    parser.add_argument("--large-steps", type=int, default=20)
    parser.add_argument("--large-rounds", type=int, default=3)
    parser.add_argument("--no-large", action="store_true", help="leave the larger model out")
    parser.add_argument(
        "--only", nargs="*", default=[""], help="settings whose names hold one of these; nothing is kept"
    )
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        serin_train(json.loads(given.job.read_text()))
        return

    def wanted(*runs: Run) -> list[Run]:
        return [run for run in runs if run in OURS or any(part in " ".join(run) for part in given.only)]

    lines = [describe(), ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "peft", "bitsandbytes"))]
    lines += [
        f"{tool}: "
        + ", ".join(
            pin.replace("==", " ")
            for pin in (HERE / pins).read_text().split("\n")
            if pin.partition("==")[0] in {"trl", "llamafactory", "torch", "transformers", "peft", "bitsandbytes"}
        )
        for tool, pins in PINS.items()
    ]
    kept: dict[str, Any] = {"versions": lines[1:], "machine": lines[0]}
    with TemporaryDirectory(prefix="train-throughput-") as scratch:
        folder = Path(scratch)
        bench = lay_out_bench(EXAMPLE_BASE, given.steps, folder / "example")
        benches = [(bench, given.rounds)]
        if not given.no_large:
            large = lay_out_bench(write_large_base(folder / "large-base"), given.large_steps, folder / "large")
            benches.append((large, given.large_rounds))
        for each, rounds in benches:
            found = compare(each, wanted(*OURS, *BEST_OF_TRL, *DEFAULTS), rounds)
            lines += ["", *table(each, found, rounds)]
            kept[each.base.name] = {" ".join(run): [asdict(m) for m in rows] for run, rows in found.items()}
        lines += ["", *(probe(bench) if given.only == [""] else []), *map(checkpoints, (b for b, _ in benches))]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if given.only == [""]:
        RESULT.write_text(text)
        RESULT.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
