"""LLaMA-Factory's supervised fine-tuning on the same conversations, with the same hyper-parameters.

python train_llamafactory.py JOB.json   (in an environment of its own); prints one line of JSON.

What differs: it renders by a template of its own, ``chatml``, which is that of the example's base but for a line feed after
each answer, on which it trains too; and it draws the order of the data and the adapter's start in its own way.
"""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from train_measure import Measure

# It imports torchaudio whatever it trains, and uses it where it reads sound. The builds beside a CPU torch are CUDA builds.
sys.modules["torchaudio"] = ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from llamafactory.train.tuner import run_exp  # noqa: E402 - it needs the stand-in above

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "packing": {"packing": True, "disable_gradient_checkpointing": True},
    "neat packing": {"neat_packing": True, "disable_gradient_checkpointing": True},
}


def main() -> None:
    """Train, save the adapter, and say what it took."""
    job = json.loads(Path(sys.argv[1]).read_text())
    setting = SETTINGS[job["setting"]]
    data = Path(job["out"]) / "data"
    data.mkdir()
    (data / "train.json").write_text(json.dumps([{"messages": messages} for messages in job["messages"]]))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages"}
    info = {"train": {"file_name": "train.json", "formatting": "sharegpt", "columns": columns, "tags": tags}}
    (data / "dataset_info.json").write_text(json.dumps(info))
    measure = Measure({})
    run_exp(
        {
            "model_name_or_path": job["base"],
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "quantization_bit": 4,
            "lora_rank": job["r"],
            "lora_alpha": job["alpha"],
            "lora_target": "all",
            "dataset": "train",
            "dataset_dir": str(data),
            "template": "chatml",
            "output_dir": str(Path(job["out"]) / "adapter"),
            "per_device_train_batch_size": 1 if setting else job["batch_size"],
            **({"cutoff_len": round(job["batch_size"] * job["tokens_an_example"])} if setting else {}),
            "gradient_accumulation_steps": 1,
            "max_steps": job["steps"],
            "learning_rate": job["learning_rate"],
            "lr_scheduler_type": "cosine",
            "warmup_steps": job["warmup_steps"],
            "seed": job["seed"],
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            **setting,
        },
        callbacks=[measure],
    )
    measure.report()


if __name__ == "__main__":
    main()
