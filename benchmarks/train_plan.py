"""``serin train --plan`` against what training then takes: memory of shapes of many kinds, and the time of the example.

python benchmarks/train_plan.py [--rounds 3] [--only SUBSTRING] [--no-time]

Memory: each shape is a model with random weights and a dataset of conversations of some length, planned and then trained for a
few steps in a process of its own, in an environment that holds ``serin[train]`` alone. Measured is the peak of its resident
memory (VmHWM) from before the base is loaded to the end, above what it was once everything was imported that training
imports. The constants of the plan were fitted to the first sixteen shapes, and not to the last ones.

Time: the example's run is calibrated with 20 steps, and then made, in turns; imports count with the run, not with the plan.
"""

import argparse
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from environment import serin_python
from machine import describe

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/train_plan.txt"
EXAMPLE_BASE = ROOT / "examples/labour-law/base"
MIB = 1 << 20
STEPS = 8
CALIBRATED_STEPS = 20

SMALL = {
    **{"model_type": "qwen3", "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "head_dim": 64},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 2048, "tie_word_embeddings": True},
}
MEDIUM = {
    **{"model_type": "qwen3", "hidden_size": 768, "intermediate_size": 2304, "num_hidden_layers": 12, "head_dim": 64},
    **{"num_attention_heads": 12, "num_key_value_heads": 4, "vocab_size": 32000, "tie_word_embeddings": True},
}
LARGE = {
    **{"model_type": "llama", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8},
    **{"num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 64000, "tie_word_embeddings": False},
}
DEEP = {
    **{**SMALL, "hidden_size": 320, "intermediate_size": 1024, "num_hidden_layers": 24},
    **{"num_attention_heads": 5, "num_key_value_heads": 5},
}
GPT2 = {"model_type": "gpt2", "n_embd": 512, "n_layer": 8, "n_head": 8, "vocab_size": 16000, "n_positions": 1024}
PHI3 = {
    **{"model_type": "phi3", "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 8},
    **{"num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 32000, "tie_word_embeddings": False},
}
GEMMA = {
    **{"model_type": "gemma", "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6, "head_dim": 64},
    **{"num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": 48000},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One run: the model's config, section ``train``, and how many words questions and answers have."""

    config: Mapping[str, Any]
    train: Mapping[str, Any]
    batch: int
    words: tuple[int, int]
    micro_batch: int | None = None


SHAPES: Mapping[str, Shape] = {
    "Qwen3 5 M, qlora": Shape(SMALL, {"method": "qlora"}, 8, (10, 15)),
    "Qwen3 107 M, qlora": Shape(MEDIUM, {"method": "qlora"}, 8, (12, 12)),
    "Qwen3 107 M, lora, bfloat16": Shape(MEDIUM, {"method": "lora", "dtype": "bfloat16"}, 8, (12, 12)),
    "Qwen3 107 M, lora, dropout": Shape(MEDIUM, {"method": "lora", "lora": {"dropout": 0.1}}, 8, (12, 12)),
    "Qwen3 5 M, full": Shape(SMALL, {"method": "full"}, 8, (30, 30)),
    "Qwen3 107 M, full": Shape(MEDIUM, {"method": "full"}, 4, (15, 15)),
    "Llama 219 M, qlora, checkpointing": Shape(LARGE, {"method": "qlora", "gradient_checkpointing": True}, 4, (50, 60)),
    "Llama 219 M, qlora, bfloat16": Shape(LARGE, {"method": "qlora", "dtype": "bfloat16"}, 4, (10, 60)),
    "GPT-2 34 M, lora": Shape(GPT2, {"method": "lora"}, 8, (20, 20)),
    "Phi-3 106 M, qlora, DoRA, accumulating": Shape(
        PHI3, {"method": "qlora", "lora": {"r": 16, "dora": True}}, 8, (30, 40), 2
    ),
    "Gemma 49 M, full, NEFTune": Shape(GEMMA, {"method": "full", "neftune_alpha": 5.0}, 4, (40, 15)),
    "Llama 219 M, lora, head trained": Shape(
        LARGE, {"method": "lora", "lora": {"r": 8, "modules_to_save": ["lm_head"]}}, 2, (40, 40)
    ),
    "Phi-3 106 M, full, bfloat16": Shape(PHI3, {"method": "full", "dtype": "bfloat16"}, 4, (30, 10)),
    "Gemma 49 M, qlora, rsLoRA 64": Shape(GEMMA, {"method": "qlora", "lora": {"r": 64, "rslora": True}}, 6, (20, 30)),
    "GPT-2 34 M, full, checkpointing": Shape(GPT2, {"method": "full", "gradient_checkpointing": True}, 8, (30, 10)),
    "Qwen3 107 M, lora, attention only": Shape(
        MEDIUM, {"method": "lora", "lora": {"r": 16, "target_modules": ["q_proj", "v_proj"]}}, 6, (10, 40), 3
    ),
    "Qwen3 34 M in 24 layers, qlora": Shape(DEEP, {"method": "qlora", "lora": {"r": 8}}, 12, (6, 8)),
    "Llama 219 M, lora, bfloat16": Shape(LARGE, {"method": "lora", "dtype": "bfloat16"}, 2, (20, 30)),
    "Gemma 49 M, full, accumulating": Shape(GEMMA, {"method": "full"}, 8, (30, 60), 2),
    "Phi-3 106 M, lora, checkpointing": Shape(PHI3, {"method": "lora", "gradient_checkpointing": True}, 4, (60, 60)),
}
FITTED = 16


# ---- one run, in a process of its own ------------------------------------------------------------------------------------
def memory_kib(field: str) -> int:
    """A line of this process's status."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])


def train_and_measure(folder: Path) -> None:
    """Train as ``serin train`` does, and print the peak above what imports take, in bytes."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from serin.cli.options import load_params
    from serin.lm.load import load_tokenizer
    from serin.train import stage
    from serin.train.watch.watchers import Watchers

    for late in ("peft.tuners.lora.bnb", "torch._dynamo"):
        importlib.import_module(late)
    AutoModelForCausalLM._model_mapping[type(AutoConfig.from_pretrained(folder / "base"))]  # imports its module
    load_tokenizer(folder / "base")
    params = load_params(folder / "params.yaml")
    before = memory_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    stage.run(params, stage.Inputs(folder / "base", "0", folder / "dataset"), folder / "out", lambda _: Watchers([]))
    print(json.dumps((memory_kib("VmHWM") - before) * 1024))


# ---- models, data --------------------------------------------------------------------------------------------------------
def write_project(shape: Shape, folder: Path) -> None:
    """A base with random weights and the example's tokenizer, a dataset, and params."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(EXAMPLE_BASE)
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = AutoConfig.for_model(**shape.config, **special)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    GenerationConfig.from_pretrained(EXAMPLE_BASE).save_pretrained(folder / "base")
    (folder / "pinned").mkdir()
    (folder / "pinned/base.json").write_text(json.dumps({"folder": str(folder / "base")}))
    write_dataset(folder / "dataset", shape)
    train = {
        **{"batch_size": shape.batch, "micro_batch_size": shape.micro_batch or shape.batch, "max_tokens": 4096},
        **{"max_steps": STEPS, "learning_rate": 1e-4, **shape.train},
    }
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"train": train, "runs": {"checkpoints": {"folder": str(folder / "runs")}}})
    )


def write_dataset(folder: Path, shape: Shape) -> None:
    """As ``prepare`` writes it, of words drawn at random."""
    from serin.clients.files import output_folder, seal, write_jsonl

    draw = random.Random(0)
    words = (ROOT / "README.md").read_text().split()

    def said(role: str, count: int) -> dict[str, str]:
        return {"role": role, "content": " ".join(draw.choices(words, k=round(count * draw.uniform(0.7, 1.3))))}

    with output_folder(folder) as scratch:
        for split in ("train", "validation", "test", "control"):
            records: Iterator[dict[str, Any]] = (
                {
                    "messages": [said("user", shape.words[0]), said("assistant", shape.words[1])],
                    "meta": {"id": f"{split}-{i}"},
                }
                for i in range({"train": 40, "validation": 4}.get(split, 0))
            )
            write_jsonl(scratch / f"{split}.jsonl", list(records))
        seal(scratch, kind="dataset")


# ---- figures -------------------------------------------------------------------------------------------------------------
def compare_memory(name: str, shape: Shape) -> str:
    """A line: planned, measured, ratio."""
    with TemporaryDirectory(prefix="train-plan-") as scratch:
        folder = Path(scratch)
        write_project(shape, folder)
        python = str(serin_python("train"))
        serin = [python, "-m", "serin", "train", "--plan", "--json"]
        paths = {"params": "params.yaml", "base": "pinned", "dataset": "dataset"}
        options = [part for option, path in paths.items() for part in (f"--{option}", str(folder / path))]
        plan = json.loads(_output([*serin, *options]))
        measured = json.loads(_output([python, __file__, "--job", str(folder)]))
    planned = plan["memory_bytes"]["total"]
    where = "loading" if plan["memory_bytes"]["loading"] == planned else "a step"
    return (
        f"{name:<40}{plan['micro_batch']['tokens']:>8,}{planned / MIB:>10,.0f}{measured / MIB:>10,.0f}"
        f"{planned / measured:>8.2f}   {where}"
    )


def compare_time(rounds: int) -> list[str]:
    """The example's run: calibrated, then made, in turns."""
    serin = [str(serin_python("train")), "-m", "serin"]
    found = []
    with TemporaryDirectory(prefix="train-plan-") as scratch:
        folder = Path(scratch)
        base, dataset = ["--base", str(folder / "base")], ["--dataset", str(folder / "dataset")]
        _output([*serin, "base", "--out", str(folder / "base")])
        _output([*serin, "prepare", *base, "--out", str(folder / "dataset")])
        train = [*serin, "train", *base, *dataset]
        for round_ in range(rounds):
            environment = {**os.environ, "SERIN_RUNS": str(folder / f"runs-{round_}")}
            plan = json.loads(_output([*train, "--plan", "--calibrate", str(CALIBRATED_STEPS), "--json"], environment))
            began = time.monotonic()
            _output([*train, "--out", str(folder / f"adapter-{round_}")], environment)
            found.append((plan["hours"]["low"] * 60, plan["hours"]["high"] * 60, (time.monotonic() - began) / 60))
            print(*found[-1], file=sys.stderr, flush=True)
    medians = [statistics.median(each[i] for each in found) for i in range(3)]
    return [
        f"minutes of the example's {plan['steps']} steps: calibrated with {CALIBRATED_STEPS} of them, then made, and the ratio",
        *(f"{low:>8.2f} to {high:.2f}{made:>8.2f}{(low + high) / 2 / made:>8.2f}" for low, high, made in found),
        f"medians: {medians[0]:.2f} to {medians[1]:.2f}, made {medians[2]:.2f}; ratio {sum(medians[:2]) / 2 / medians[2]:.2f}",
    ]


def _output(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr[-3000:]}")
    return done.stdout


def main() -> None:
    """Compare every shape, then the time, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="shapes whose names hold this; nothing is kept")
    parser.add_argument("--rounds", type=int, default=3, help="of calibrating and training")
    parser.add_argument("--no-time", action="store_true", help="memory alone; nothing is kept")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        train_and_measure(given.job)
        return
    lines = [
        describe(),
        "",
        f"{'memory':<40}{'tokens':>8}{'planned':>10}{'measured':>10}{'ratio':>8}   MiB; the peak is in",
    ]
    for i, (name, shape) in enumerate(SHAPES.items()):
        if given.only in name:
            lines += ["not fitted:"] if i == FITTED else []
            lines.append(compare_memory(name, shape))
            print(lines[-1], file=sys.stderr, flush=True)
    lines += [] if given.no_time else ["", *compare_time(given.rounds)]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if not given.only and not given.no_time:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
