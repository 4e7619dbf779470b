"""TRL's SFTTrainer on the tokens and labels of Serin's rendering, with its hyper-parameters.

python train_trl.py JOB.json   (in the peers' environment); prints one line of JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from train_measure import Measure
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer

FASTER: dict[str, Any] = {"gradient_checkpointing": False}
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "padded, fp32": {**FASTER, "bf16": False},
    "padded, bf16": {**FASTER, "bf16": True},
    "padding-free, fp32": {**FASTER, "bf16": False, "padding_free": True},
    "padding-free, bf16": {**FASTER, "bf16": True, "padding_free": True},
    "packing, fp32": {**FASTER, "bf16": False, "packing": True},
    "packing, bf16": {**FASTER, "bf16": True, "packing": True},
    "packing, wrapped": {**FASTER, "bf16": False, "packing": True, "packing_strategy": "wrapped"},
}


def model_and_adapter(job: dict[str, Any], compute: torch.dtype) -> dict[str, Any]:
    """NF4 with double quantisation, and the adapter: as arguments of the trainer.

    ``defaults`` leaves loading to the trainer. Everywhere else the base is loaded in the dtype that is computed in, which is
    faster. Repacking for inference would make gradients wrong: it is off, though without an evaluation it never comes to that.
    """
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute
    )
    lora = LoraConfig(r=job["r"], lora_alpha=job["alpha"], target_modules="all-linear", task_type="CAUSAL_LM")
    if job["setting"] == "defaults":
        return {"model": job["base"], "quantization_config": nf4, "peft_config": lora}
    base = AutoModelForCausalLM.from_pretrained(job["base"], dtype=compute, quantization_config=nf4)
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    torch.manual_seed(job["seed"])
    return {"model": get_peft_model(base, lora)}


def main() -> None:
    """Train, save the adapter, and say what it took."""
    job = json.loads(Path(sys.argv[1]).read_text())
    setting = SETTINGS[job["setting"]]
    rows = [
        {"input_ids": e["input_ids"], "completion_mask": [int(label != -100) for label in e["labels"]]}
        for e in job["examples"]
    ]
    packing = setting.get("packing", False)
    tokens_a_step = round(job["batch_size"] * job["tokens_an_example"])
    config = SFTConfig(
        output_dir=str(Path(job["out"]) / "trainer"),
        max_steps=job["steps"],
        # A packed row holds as many tokens as a batch of the others has on average.
        per_device_train_batch_size=1 if packing else job["batch_size"],
        max_length=tokens_a_step if packing else None if setting.get("padding_free") else 1024,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="cosine",
        warmup_steps=job["warmup_steps"],
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=job["seed"],
        use_cpu=True,
        completion_only_loss=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **setting,
    )
    measure = Measure({"use_cache": False})
    trainer = SFTTrainer(
        **model_and_adapter(job, torch.bfloat16 if config.bf16 else torch.float32),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(job["base"]),
        callbacks=[measure],
    )
    if job["setting"] != "defaults":
        for weight in trainer.model.parameters():  # it casts adapters on quantised models to bfloat16
            if weight.requires_grad:
                weight.data = weight.data.float()
    trainer.train()
    trainer.model.save_pretrained(Path(job["out"]) / "adapter")
    measure.report()


if __name__ == "__main__":
    main()
