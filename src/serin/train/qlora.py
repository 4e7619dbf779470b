"""One QLoRA run: NF4 base, float32 adapter, TRL's trainer on batches without padding."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from serin.core.errors import ConfigError
from serin.core.params import LoraParams, TrainParams
from serin.lm.chat import Example
from serin.lm.packing import collate

_LOG_EVERY_STEPS = 10

Progress = Callable[[int, int, float | None], None]
"""Hears (step, steps, loss); loss is None where none was logged."""


def attach_adapter(model: PreTrainedModel, lora: LoraParams) -> PeftModel:
    """Put a new adapter on the model. Raises ConfigError where the targets match nothing."""
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
        bias="none",
    )
    try:
        adapted: PeftModel = get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(f"train.lora.target_modules = {lora.target_modules!r}: {error}; edit params.yaml") from error
    return adapted


def fit(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    params: TrainParams,
    scratch: Path,
    progress: Progress,
) -> tuple[int, list[dict[str, float]]]:
    """Train the adapter in place; returns the steps taken, and one ``{"step", "loss", "learning_rate", "epoch"}`` a log.

    Raises:
        ConfigError: the loss became NaN or infinite.
    """
    rows = [{"row": i} for i in range(len(examples))]
    trainer = SFTTrainer(
        model=model,
        args=trainer_settings(params, len(examples), scratch),
        train_dataset=Dataset.from_list(rows),
        data_collator=_Collator(examples),
        processing_class=tokenizer,
        callbacks=[_Report(progress)],
    )
    trainer.remove_callback(PrinterCallback)
    adapter_to_float32(model)
    trainer.train()
    log = [
        {key: float(entry[key]) for key in ("step", "loss", "learning_rate", "epoch")}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]
    if any(not torch.isfinite(torch.tensor(entry["loss"])) for entry in log):
        step = next(entry["step"] for entry in log if not torch.isfinite(torch.tensor(entry["loss"])))
        raise ConfigError(f"the loss is not finite at step {step:.0f}: lower train.learning_rate and run again")
    return trainer.state.global_step, log


def trainer_settings(params: TrainParams, examples: int, scratch: Path) -> SFTConfig:
    """TRL's settings: no gradient checkpointing (a third slower), no cutting, float32 where there is no GPU.

    The loss is logged every ten steps, and at least once however short the run is.
    """
    gpu = torch.cuda.is_available()
    steps = math.ceil(params.epochs * math.ceil(examples / params.batch_size))
    return SFTConfig(
        output_dir=str(scratch),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.micro_batch_size,
        gradient_accumulation_steps=params.batch_size // params.micro_batch_size,
        learning_rate=params.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=params.warmup_ratio,  # below 1 it is a share of the steps
        weight_decay=params.weight_decay,
        seed=params.seed,
        data_seed=params.seed,
        use_cpu=not gpu,
        bf16=gpu,
        gradient_checkpointing=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        save_strategy="no",
        logging_steps=min(_LOG_EVERY_STEPS, steps),
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=gpu,
    )


def adapter_to_float32(model: torch.nn.Module) -> None:
    """Undo TRL's cast of QLoRA adapters to bfloat16, in which small updates round away."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


class _Collator:
    """Rows name examples; the batch is theirs, without padding."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, torch.Tensor]:
        return collate([self.examples[row["row"]] for row in rows])


class _Report(TrainerCallback):
    """Tells of every step and of every loss that is logged."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the signature
        self.progress(state.global_step, state.max_steps, None)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: ARG002
        if logs and "loss" in logs:
            self.progress(state.global_step, state.max_steps, float(logs["loss"]))
