"""Merging a rank-16 adapter on all linear layers into a synthetic bfloat16 model of 1.2 B parameters: Serin against PEFT.

python benchmarks/merge_memory.py [--rounds 3] [--folder DISK] [--scale 1.0] [--only SUBSTRING]

Three models of 2.2 GiB in 1 GB shards, with random weights: 20 layers; 80 thinner ones; and a vocabulary of 151,936. PEFT loads
the model in bfloat16, calls ``merge_and_unload`` and ``save_pretrained``, which neither hashes nor syncs anything. Serin merges
with digests of all files and syncs them; its proof that the merged model answers as the base with the adapter does (parity) is
timed apart. Each run is a process of its own, in turns, in an environment that holds ``serin[train]`` alone; imports are not
timed. The peaks are those of the whole process: of resident memory as the kernel counts it (VmHWM), and of its anonymous part,
sampled every 5 ms. Files are in the page cache, as they are after ``serin base`` has verified them.

Both results are compared, tensor by tensor, with a merge in float32 that is rounded once.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from environment import serin_python
from machine import describe

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/merge_memory.txt"
SHARD_BYTES = 1_000_000_000
RANK = 16
INTERVAL_S = 0.005

COMMON = {
    **{"model_type": "qwen3", "tie_word_embeddings": True, "head_dim": 128, "num_key_value_heads": 8},
    **{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
}
WIDE = {**COMMON, "hidden_size": 2048, "num_attention_heads": 16}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "20 layers": {**WIDE, "intermediate_size": 7168, "num_hidden_layers": 20, "vocab_size": 32000},
    "80 layers": {
        **{**COMMON, "hidden_size": 1024, "intermediate_size": 2560, "num_hidden_layers": 80, "vocab_size": 32000},
        **{"num_attention_heads": 16},
    },
    "vocabulary 151,936": {**WIDE, "intermediate_size": 6144, "num_hidden_layers": 18, "vocab_size": 151936},
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took."""

    seconds: Mapping[str, float]
    """By part."""
    rss_mib: float
    anonymous_mib: float
    before_mib: float
    """Resident once everything was imported."""


# ---- jobs, each in a process of its own ----------------------------------------------------------------------------------
def make(config: Mapping[str, Any], folder: Path) -> None:
    """A base of random weights in shards, and an adapter on it."""
    import torch
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    base, adapter = folder / "base", folder / "adapter"
    base.mkdir(parents=True)
    adapter.mkdir()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=torch.bfloat16)
    model.config.save_pretrained(base)
    shard: dict[str, Any] = {}
    places: dict[str, str] = {}
    total = size = 0

    def write() -> None:
        name = f"model-{len(set(places.values())) + 1:05}.safetensors"
        save_file(shard, base / name, metadata={"format": "pt"})
        places.update(dict.fromkeys(shard, name))
        shard.clear()

    for name, weight in model.named_parameters():
        if size + weight.nbytes > SHARD_BYTES:
            write()
            size = 0
        shard[name] = torch.empty(weight.shape, dtype=torch.bfloat16).normal_(std=0.02)
        size, total = size + weight.nbytes, total + weight.nbytes
    write()
    (base / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": places})
    )
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, lora, low_cpu_mem_usage=True)
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    tensors = {name: torch.empty(tensor.shape).normal_(std=0.01) for name, tensor in expected.items()}
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    adapted.peft_config["default"].inference_mode = True
    adapted.peft_config["default"].save_pretrained(adapter)
    print(total)


def merge_with_peft(folder: Path) -> dict[str, float]:
    """As its documentation says."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    report_start()
    begin = time.monotonic()
    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16)
    merged = PeftModel.from_pretrained(model, folder / "adapter").merge_and_unload()
    merged.save_pretrained(folder / "peft", max_shard_size=SHARD_BYTES)
    return {"merge": time.monotonic() - begin}


def merge_with_serin(folder: Path) -> dict[str, float]:
    """What the stage does between reading its inputs' manifests and writing its own, without the proof."""
    import torch

    from serin.clients.files import write_json
    from serin.clients.storage import FolderStorage
    from serin.core.manifest import MANIFEST, Manifest
    from serin.merge import stage

    report_start()
    begin = time.monotonic()
    out = folder / "scratch"
    out.mkdir()
    files = stage.write_model(folder / "base", folder / "adapter", torch.bfloat16, out)
    write_json(out / MANIFEST, Manifest(kind="model", files=files).model_dump())
    FolderStorage(folder).move_folder(out, "serin", last=MANIFEST)
    return {"merge": time.monotonic() - begin}


def prove_with_serin(folder: Path) -> dict[str, float]:
    """The proof that the merged model answers as the base with the adapter does."""
    from serin.merge.adapter import read_adapter
    from serin.merge.base import FullBase
    from serin.merge.parity import check_parity
    from serin.merge.placement import place

    report_start()
    begin = time.monotonic()
    base, adapter = folder / "base", folder / "adapter"
    check_parity(base, FullBase(), adapter, folder / "serin", place(read_adapter(adapter, base), base))
    return {"merge": time.monotonic() - begin}


def compare(folder: Path) -> None:
    """Count the elements of both results that are not those of a merge in float32, rounded once."""
    from safetensors import safe_open

    def opened(name: str) -> dict[str, Any]:
        files = [safe_open(path, "pt") for path in sorted((folder / name).glob("*.safetensors"))]
        return {key: file for file in files for key in file.keys()}  # noqa: SIM118 - not a mapping

    base, merged = opened("base"), {name: opened(name) for name in ("peft", "serin")}
    differ, elements = dict.fromkeys(merged, 0), 0
    scale = 2.0
    with safe_open(folder / "adapter/adapter_model.safetensors", "pt") as adapter:
        keys = set(adapter.keys())
        for name, file in base.items():
            weight = file.get_tensor(name)
            lora = f"base_model.model.{name.removesuffix('.weight')}.lora_"
            exact = weight
            if f"{lora}A.weight" in keys:
                product = adapter.get_tensor(f"{lora}B.weight") @ adapter.get_tensor(f"{lora}A.weight")
                exact = (weight.float() + scale * product).bfloat16()
            elements += exact.numel()
            for who, tensors in merged.items():
                differ[who] += int((tensors[name].get_tensor(name) != exact).sum())
    print(json.dumps({"elements": elements, **differ}))


def report_start() -> None:
    """Tell the parent that everything is imported."""
    print(f"start {memory_mib('VmRSS')}", flush=True)


def memory_mib(field: str, process: str = "self") -> float:
    """A line of a process's status."""
    return int(Path(f"/proc/{process}/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


JOBS = {"peft": merge_with_peft, "serin": merge_with_serin, "parity": prove_with_serin}


# ---- figures -------------------------------------------------------------------------------------------------------------
def measure(job: str, folder: Path) -> Run:
    """Run a job, and sample its memory."""
    command = [str(serin_python("train")), __file__, "--job", job, "--in", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0.0
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(INTERVAL_S):
            try:
                peak = max(peak, memory_mib("RssAnon", str(process.pid)))
            except (OSError, IndexError):
                return

    sampling = threading.Thread(target=sample)
    sampling.start()
    out, errors = process.communicate()
    ended.set()
    sampling.join()
    if process.returncode:
        sys.exit(f"{job}:\n{errors[-3000:]}")
    start, result = out.strip().splitlines()
    told = json.loads(result)
    return Run(told["seconds"], told["rss_mib"], peak, float(start.split()[1]))


def clear(folder: Path, *names: str) -> None:
    """Remove results."""
    subprocess.run(["rm", "-rf", *(str(folder / name) for name in names)], check=True)


def one_model(name: str, config: Mapping[str, Any], rounds: int, disk: Path | None) -> list[str]:
    """Lines of the table."""
    with TemporaryDirectory(prefix="merge-memory-", dir=disk) as scratch:
        folder = Path(scratch)
        python = str(serin_python("train"))
        made = subprocess.run(
            [python, __file__, "--job", "make", "--in", str(folder), "--model", json.dumps(config)],
            **{"check": True, "stdout": subprocess.PIPE, "text": True},
        )
        size_gib = int(made.stdout.split()[-1]) / (1 << 30)
        runs: dict[str, list[Run]] = {job: [] for job in JOBS}
        for round_ in range(rounds):
            for job in ("peft", "serin") if round_ % 2 == 0 else ("serin", "peft"):
                clear(folder, job, "scratch")
                runs[job].append(measure(job, folder))
                print(name, job, runs[job][-1], file=sys.stderr, flush=True)
        runs["parity"].append(measure("parity", folder))
        print(name, "parity", runs["parity"][-1], file=sys.stderr, flush=True)
        differ = json.loads(
            subprocess.run(
                [python, __file__, "--job", "compare", "--in", str(folder)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        )
    lines = []
    for job, of in runs.items():
        seconds = [run.seconds["merge"] for run in of]
        told = f"{differ[job]:>14,}" if job in differ else f"{'':>14}"
        lines.append(
            f"{f'{name}, {size_gib:.2f} GiB':<32}{job:<8}{statistics.median(seconds):>8.1f}"
            f"{min(seconds):>8.1f}{max(seconds):>8.1f}{statistics.median(run.rss_mib for run in of):>10,.0f}"
            f"{statistics.median(run.anonymous_mib for run in of):>10,.0f}"
            f"{statistics.median(run.before_mib for run in of):>10,.0f}{told}"
        )
    ratio = statistics.median(r.seconds["merge"] for r in runs["serin"]) / statistics.median(
        r.seconds["merge"] for r in runs["peft"]
    )
    return [*lines, f"{'':<32}serin takes {ratio:.2f} of PEFT's time; {differ['elements']:,} elements were compared"]


def main() -> None:
    """Measure every model, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to write to")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of layers; below 1 nothing is kept")
    parser.add_argument("--only", default="", help="models whose names hold this; nothing is kept")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job == "make":
        make(json.loads(given.model), given.work)
    elif given.job == "compare":
        compare(given.work)
    elif given.job:
        seconds = JOBS[given.job](given.work)
        print(json.dumps({"seconds": seconds, "rss_mib": memory_mib("VmHWM")}))
    if given.job:
        return
    lines = [
        describe(),
        "",
        f"{'model':<32}{'tool':<8}{'s':>8}{'least':>8}{'most':>8}{'RSS':>10}{'RssAnon':>10}{'imports':>10}{'differ':>14}",
        f"{'':<56}{'peak MiB of the process, median':>38}{'elements':>20}",
    ]
    for name, config in MODELS.items():
        if given.only in name:
            scaled = {**config, "num_hidden_layers": max(1, round(config["num_hidden_layers"] * given.scale))}
            lines += one_model(name, scaled, given.rounds, given.folder)
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if not given.only and given.scale == 1.0:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
