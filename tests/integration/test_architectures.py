"""Causal LMs of several families, small and random: each method builds, trains what it says, and saves what plain PEFT reads."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    Phi3Config,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3MoeConfig,
)

from serin.core.conversation import Conversation, Message
from serin.core.params import TrainParams
from serin.lm.chat import IGNORED, Example, render_prompt, stop_token_ids
from serin.lm.decode import decode_greedily, decodes
from serin.lm.generate import answer_all
from serin.lm.load import load_model, load_tokenizer, read_config
from serin.lm.packing import find_layout, lay_out, target_logits, target_nll
from serin.train.loop.step import precision_of
from serin.train.model.build import TrainableModel, build
from serin.train.plan.devices import Device
from serin.train.plan.memory import Estimator
from serin.train.plan.meter import MemoryMeter
from serin.train.plan.rehearsal import scales_of

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
CONFIGS: dict[str, Callable[..., PretrainedConfig]] = {
    "llama": lambda **ids: LlamaConfig(**SIZES, **ids),
    "qwen3": lambda **ids: Qwen3Config(**SIZES, tie_word_embeddings=True, **ids),
    "gemma": lambda **ids: GemmaConfig(**SIZES, **ids),
    "gemma2": lambda **ids: Gemma2Config(**SIZES, query_pre_attn_scalar=16, sliding_window=16, **ids),
    "gemma3": lambda **ids: Gemma3TextConfig(**SIZES, sliding_window=16, **ids),
    "phi3": lambda **ids: Phi3Config(**{k: v for k, v in SIZES.items() if k != "head_dim"}, **ids),
    "gpt2": lambda **ids: GPT2Config(
        n_embd=64, n_layer=2, n_head=4, n_positions=512, attn_pdrop=0, resid_pdrop=0, embd_pdrop=0, **ids
    ),
    "qwen3_moe": lambda **ids: Qwen3MoeConfig(
        **SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64, decoder_sparse_step=1, **ids
    ),
}
PLANNED = [
    *({"method": method} for method in ("qlora", "lora", "full")),
    {"method": "qlora", "lora": {"r": 4, "dora": True}},
    {"method": "lora", "dtype": "bfloat16", "lora": {"r": 8, "dropout": 0.1}},
    {"method": "qlora", "gradient_checkpointing": True},
]
EXAMPLES = [
    Example(f"r{i}", tuple(range(5 + i, 5 + i + n)), (*[IGNORED] * 3, *range(8 + i, 5 + i + n)))
    for i, n in enumerate((30, 9, 40))
]


@pytest.fixture(scope="module", params=CONFIGS)
def base(request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_base))
    ids = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(
        CONFIGS[request.param](**ids, pad_token_id=tokenizer.pad_token_id)
    )
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def made(base: Path, **train: object) -> TrainableModel:
    params = TrainParams.model_validate({"lora": {"r": 4, "alpha": 8}, **train})
    return build(params, base, load_tokenizer(base), [])


def trained(model: TrainableModel, steps: int = 3) -> list[float]:
    """A few plain steps of Adam; the losses."""
    layout = find_layout(model.module)
    adam = torch.optim.Adam(model.trained.values(), lr=5e-3)
    losses = []
    model.module.train()
    for _ in range(steps):
        loss = target_nll(model.module, lay_out(EXAMPLES, layout)) / sum(e.trained_tokens for e in EXAMPLES)
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(weight.grad is not None and bool(weight.grad.isfinite().all()) for weight in model.trained.values())
        adam.step()
        adam.zero_grad()
    return losses


@pytest.mark.parametrize("method", ["qlora", "lora", "full"])
def test_every_method_learns_and_everything_it_trains_is_float32(base: Path, method: str) -> None:
    model = made(base, method=method)
    before = model.weights() if method != "full" else {}
    before = {name: weight.clone() for name, weight in before.items()}
    losses = trained(model)
    assert losses[-1] < losses[0]
    assert {weight.dtype for weight in model.trained.values()} == {torch.float32}
    assert all(not torch.equal(before[name], weight) for name, weight in model.trained.items() if name in before)
    if method == "qlora":
        assert any("Linear4bit" in type(module).__name__ for module in model.module.modules())
    if method == "full":
        assert model.counts.trained == model.counts.total


@pytest.mark.parametrize("lora", [{}, {"dora": True}, {"rslora": True}, {"plus_ratio": 8.0}], ids=str)
def test_a_saved_adapter_gives_plain_peft_the_same_logits(base: Path, tmp_path: Path, lora: dict[str, object]) -> None:
    model = made(base, method="lora", lora={"r": 4, "alpha": 8, **lora})
    trained(model)
    model.module.eval()
    batch = lay_out([EXAMPLES[0]], "padded")
    with torch.no_grad():
        expected = target_logits(model.module, batch)
        model.save(tmp_path / "adapter")
        plain = PeftModel.from_pretrained(load_model(base), str(tmp_path / "adapter")).eval()
        found = target_logits(plain, batch)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_packed_rows_give_each_example_the_logits_it_has_alone(base: Path) -> None:
    """By the attention that training uses, against the model's own eager attention on each example alone."""
    model = made(base, method="lora")
    model.module.eval()
    layout = find_layout(model.module)
    eager = AutoModelForCausalLM.from_pretrained(str(base), attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        together = target_logits(model.module, lay_out(EXAMPLES, layout))
        alone = torch.cat([target_logits(eager, lay_out([e], "padded")) for e in EXAMPLES])
    assert layout == "packed"
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


def test_an_evaluation_between_two_steps_changes_no_gradient(base: Path) -> None:
    model = made(base)
    torch.manual_seed(1)
    for name, weight in model.trained.items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)

    def gradients() -> list[torch.Tensor]:
        model.module.train()
        for weight in model.trained.values():
            weight.grad = None
        target_nll(model.module, lay_out(EXAMPLES, "packed")).backward()
        return [weight.grad.clone() for weight in model.trained.values() if weight.grad is not None]

    before = gradients()
    model.module.eval()
    with torch.no_grad():
        target_nll(model.module, lay_out(EXAMPLES, "packed"))
    after = gradients()
    assert len(before) == len(model.trained)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_experts_that_stay_as_they_are_are_told_of(base: Path) -> None:
    notes = made(base).notes
    if base.name.startswith("qwen3_moe"):
        assert notes
        assert "4 tensors of experts" in notes[0]
        assert "neither adapted nor quantised" in notes[0]
    else:
        assert notes == ()


def test_gradient_checkpointing_gives_the_same_gradients(base: Path) -> None:
    found = []
    for on in (False, True):
        model = made(base, gradient_checkpointing=on)
        model.module.train()
        target_nll(model.module, lay_out(EXAMPLES, "packed")).backward()
        found.append({name: weight.grad for name, weight in model.trained.items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("train", PLANNED, ids=str)
def test_a_plan_counts_and_weighs_what_is_then_built(base: Path, train: dict[str, object]) -> None:
    """Parameters exactly; and bytes of the rehearsal against those of the same pass over the model itself."""
    params = TrainParams.model_validate({"lora": {"r": 4, "alpha": 8}, **train})
    estimator = Estimator(read_config(base), params, Device("CPU", 1 << 40))
    model = made(base, **train)
    assert estimator.counts == model.counts
    meter = MemoryMeter(estimator.vocabulary, is_cuda=False)
    model.module.train()
    weights = list(model.module.parameters())
    with meter:
        meter.count([*weights, *scales_of(weights), *model.module.buffers()], "weights")
        hooks = meter.watch_gradients(list(model.trained.values()))
        with precision_of(model.dtype, torch.device("cpu"))():
            nll = target_nll(model.module, lay_out(EXAMPLES, "packed"))
        nll.backward()
    for hook in hooks:
        hook.remove()
    found = estimator.rehearse([(len(e.input_ids), e.trained_tokens) for e in EXAMPLES])
    passing = [sum(parts[part] for part in ("activations", "logits")) for parts in (found.parts, meter.peak)]
    assert passing[0] == pytest.approx(passing[1], rel=0.1)
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in (*weights, *scales_of(weights))}
    assert found.parts["weights"] + found.parts["adapter"] == pytest.approx(sum(held.values()), rel=0.02)


def test_answers_are_those_of_transformers_own_loop(base: Path) -> None:
    """With rows that come and go at different times, and with caches that only transformers' own loop knows."""
    model, tokenizer = load_model(base), load_tokenizer(base)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
    asked = [Conversation((Message("user", f"{'why ' * (n % 5)}{n}?"),), {"id": str(n)}) for n in range(9)]
    prompts = [render_prompt(tokenizer, question.prompt) for question in asked]
    alone = [
        model.generate(torch.tensor([prompt]), max_new_tokens=10, do_sample=False)[0, len(prompt) :].tolist()
        for prompt in prompts
    ]
    found = answer_all(model, tokenizer, asked, 10, 4)
    stops = stop_token_ids(tokenizer, model.generation_config)
    for answer, tokens in zip(found, alone, strict=True):
        said = tokens[: next((i for i, token in enumerate(tokens) if token in stops), None)]
        assert answer.text == tokenizer.decode(said, skip_special_tokens=True).strip()
        assert answer.tokens == len(said)
    if decodes(model):
        assert dict(decode_greedily(model, prompts, stops, 10, 4)) == dict(enumerate(alone))
