"""Section ``train``, and ``runs``: how a run is carried out, which changes nothing that comes out of it."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from serin.core.params.section import Section


class LoraParams(Section):
    """The low-rank adapter (Hu et al. 2021, arXiv 2106.09685)."""

    r: int = Field(default=32, ge=1, le=1024)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """Scale: the update is alpha / r times B·A."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    target_modules: str | list[str] = "all-linear"
    """Which linear layers are adapted; ``all-linear`` leaves out the output head."""
    modules_to_save: list[str] = Field(default=[])
    """Modules that are trained whole beside the adapter, such as ``lm_head``."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead, for large ranks (Kalajdzievski 2023, arXiv 2312.03732)."""
    dora: bool = False
    """Learn the length of each column apart from its direction (Liu et al. 2024, arXiv 2402.09353)."""
    plus_ratio: float | None = Field(default=None, ge=1, le=1000)
    """LoRA+: B learns at this many times the rate of A (Hayou et al. 2024, arXiv 2402.12354); null: at the same."""

    @field_validator("target_modules", mode="before")
    @classmethod
    def _reads_a_list_of_the_word_as_the_word(cls, value: Any) -> Any:
        return "all-linear" if value == ["all-linear"] else value  # objects of a cluster only have lists here


class ValidationParams(Section):
    """The loss on the validation split while training."""

    every_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps between two evaluations; null: at the end of each epoch. The end of training is always one."""
    choose: Literal["best", "last"] = "best"
    """What is kept: the weights with the lowest validation loss, or the last ones."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many evaluations in a row that were not better; null: never."""
    min_delta: float = Field(default=0.0, ge=0)
    """How much lower (nats a token) a loss has to be to count as better for ``patience``."""


class TrainParams(Section):
    """Stage ``train``: what determines the weights that come out."""

    method: Literal["qlora", "lora", "full"] = "qlora"
    """``qlora``: NF4 base with double quantisation and an adapter; ``lora``: the adapter on the base as it is; ``full``: every
    weight."""
    lora: LoraParams = LoraParams()
    start_from: str | None = None
    """The folder of an adapter to go on from: its rank, targets and variant have to be those of ``lora``."""
    added_tokens: list[str] = Field(default=[])
    """New tokens of the vocabulary; only their rows of the embeddings are trained."""
    neftune_alpha: float | None = Field(default=None, gt=0, le=100)
    """Noise on the embeddings while training (Jain et al. 2023, arXiv 2310.05914); null: none."""
    learning_rate: float = Field(default=3e-3, gt=0, lt=1)
    """Peak rate, after the warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after the warm-up."""
    min_rate_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the peak rate at which ``cosine`` and ``linear`` end."""
    warmup_ratio: float = Field(default=0.05, ge=0, le=1)
    """Share of the steps over which the rate rises."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Decoupled weight decay of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Longer gradients are shortened to this norm; null: never."""
    epochs: float = Field(default=8.0, gt=0, le=1000)
    """Passes over the train split."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps, instead of ``epochs``; null: as many as the epochs take."""
    batch_size: int = Field(default=8, ge=1)
    """Examples an optimizer step sees, all micro-batches and processes together."""
    micro_batch_size: int = Field(default=8, ge=1)
    """Examples that are in memory at once, in each process; halved where memory runs out."""
    max_tokens: int = Field(default=256, ge=16)
    """The longest example."""
    over_long: Literal["raise", "drop", "truncate"] = "raise"
    """What happens to longer ones: refused before training, left out, or cut at the end; counted and told in any case."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the forward pass; ``auto``: bfloat16 on a GPU, float32 on a CPU, where bfloat16 is faster only if it has
    avx512_bf16 or AMX. What is trained is always float32."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    """Implementation of attention; ``auto``: FlashAttention on a GPU where it is installed, SDPA otherwise."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: a third slower, and much less memory for long examples. On a CPU, freed
    memory is then given back at once too, which is slower again by as much."""
    max_loss_ratio: float = Field(default=8.0, gt=1)
    """The loss has exploded where the mean of five steps is above this many times the median of the fifty before, or the first
    loss if that is less, or one nat if that is more; training then stops."""
    validation: ValidationParams = ValidationParams()
    seed: int = Field(default=11, ge=0)
    """Seeds the adapter's start, the order of the data, dropout and noise."""

    @model_validator(mode="after")
    def _has_what_the_method_takes(self) -> "TrainParams":
        if self.method == "full" and self.start_from is not None:
            raise ValueError(
                "start_from goes on from an adapter, and method: full has none; make a merged model the base"
            )
        return self


class CheckpointParams(Section):
    """Saved states of a run, from which it goes on after a kill."""

    folder: str | None = None
    """Where runs keep them, never inside an output; null: the environment's SERIN_RUNS, or serin/runs in the user's cache."""
    every_steps: int | None = Field(default=100, ge=1)
    """Optimizer steps between two; null: only on SIGTERM."""
    keep: int = Field(default=2, ge=1)
    """How many of the last are kept, beside the best."""
    to_storage: Literal["auto", "always", "never"] = "auto"
    """Copied to ``storage`` in the background; ``auto``: where storage is S3."""
    grace_s: float = Field(default=25.0, gt=0)
    """How long after SIGTERM the process may live: what a copy to storage may take then."""


class RunParams(Section):
    """Section ``runs``: how training is carried out. It is no tracked param, since the result does not depend on it."""

    checkpoints: CheckpointParams = CheckpointParams()
    trackers: list[Literal["dvclive", "tensorboard", "wandb", "mlflow"]] = Field(default=[])
    """Where losses and rates are sent while training, beside ``progress.json``."""
    sharded: bool = False
    """With several processes: each holds a part of every weight (FSDP) instead of the whole base; slower, for models that do
    not fit on one GPU."""
    loader_workers: int = Field(default=0, ge=0, le=64)
    """Processes that render and tokenize the data; 0: in the training process."""
