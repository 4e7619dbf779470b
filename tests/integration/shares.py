"""What one of several processes does in test_sharding, and what a process alone does to compare with.

torchrun ... shares.py BASE OUT: has the processes talk to each other, then has them train each of CASES for a few steps by
the product's own functions. What came out is written to OUT.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from serin.clients.files import write_json
from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.lm.chat import IGNORED, Example
from serin.lm.load import load_tokenizer
from serin.lm.packing import find_layout
from serin.lm.score import response_likelihood
from serin.train.loop.optimise import Optimizer
from serin.train.loop.step import compute_gradient, precision_of, seed_step
from serin.train.model.build import TrainableModel, build
from serin.train.model.tokens import add_tokens
from serin.train.processes import Processes, processes
from serin.train.sharding import even_out, gather, gradient_norm, parts_of, shard, shorten_gradient

LORA = {"r": 4, "alpha": 8}
CASES: Mapping[str, dict[str, Any]] = {
    "qlora": {
        "method": "qlora",
        "lora": {**LORA, "dora": True, "plus_ratio": 4.0},
        "added_tokens": ["<note>"],
        "gradient_checkpointing": True,
    },
    "lora": {"method": "lora", "dtype": "bfloat16", "lora": {**LORA, "modules_to_save": ["lm_head"]}},
    "full": {"method": "full"},
}
STEPS, BATCH, MICRO_BATCH = 4, 5, 2
EXAMPLES = [
    Example(f"r{i}", tuple(range(5 + i, 5 + i + length)), (*[IGNORED] * 3, *range(8 + i, 5 + i + length)))
    for i, length in enumerate((4, 40, 9, 25, 5, 60, 12, 31, 7, 22, 50, 6, 9, 14, 33, 8, 4, 19, 28, 11))
]


@dataclass(frozen=True)
class Learnt:
    """What came out, whole, and how it went: losses and norms of the steps, and the loss on what was held out."""

    weights: dict[str, torch.Tensor]
    moments: dict[str, torch.Tensor]
    figures: dict[str, Any]


def learn(case: str, base: Path, team: Processes) -> Learnt:
    """Four steps of five examples; where there are several processes, the model is sharded. The last step is done twice."""
    params = TrainParams.model_validate({"learning_rate": 1e-3, **CASES[case]})
    tokenizer = load_tokenizer(base)
    model = build(params, base, tokenizer, add_tokens(tokenizer, params.added_tokens))
    size = sum(t.nbytes for t in model.module.parameters())
    if team.count > 1:
        model = replace(model, trained=shard(model.module, model.trained, params.method != "full", team))
    held = sum(t.nbytes for t in parts_of(list(model.module.parameters())))
    precision = precision_of(model.dtype, team.device)
    with precision():
        layout = find_layout(model.module)
    optimizer = Optimizer(model.groups(), 0.0)
    figures: dict[str, Any] = {"losses": [], "norms": [], "held": held / size, "layout": layout}
    for step in range(STEPS):
        if step == STEPS - 1:
            saved = copied(model.weights(), team), copied(optimizer.moments(), team)
        take_step(step, model, optimizer, team, figures)
    once = copied(model.weights(), team)
    model.restore(team.from_first(saved[0]))
    optimizer.restore(team.from_first(saved[1]), STEPS - 1)
    take_step(STEPS - 1, model, optimizer, team, figures)
    weights, moments = gather(model.weights(), team), gather(optimizer.moments(), team)
    figures["again"] = all(torch.equal(weights[name], tensor) for name, tensor in once.items())
    model.module.eval()
    share = even_out(EXAMPLES[team.rank :: team.count], len(EXAMPLES), team)
    with precision():
        mine = response_likelihood(model.module, share, MICRO_BATCH, "packed")
    figures["held_out"] = team.sum(mine.nll) / team.sum(mine.tokens)
    return Learnt(weights, moments, figures)


def copied(tensors: Mapping[str, torch.Tensor], team: Processes) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in gather(tensors, team).items()}


def take_step(step: int, model: TrainableModel, optimizer: Optimizer, team: Processes, figures: dict[str, Any]) -> None:
    examples = EXAMPLES[step * BATCH : (step + 1) * BATCH]
    share = even_out(examples[team.rank :: team.count], len(examples), team)
    trained_tokens = sum(example.trained_tokens for example in examples)
    weights = list(model.trained.values())
    model.module.train()
    seed_step(0, step, team.rank)
    precision = precision_of(model.dtype, team.device)
    loss = compute_gradient(model.module, weights, share, trained_tokens, MICRO_BATCH, "packed", precision)
    team.sum_gradients(weights)
    norm = gradient_norm(weights, team)
    shorten_gradient(weights, norm, 1.0)
    optimizer.update(1e-3)
    figures["losses"].append(team.sum(loss))
    figures["norms"].append(norm)


def talk(team: Processes) -> dict[str, Any]:
    """What this process hears of the others."""
    kinds = ((3, torch.float32), (5, torch.float32), (4, torch.float64), (2, torch.float32))  # in three messages
    weights = [torch.nn.Parameter(torch.zeros(size, dtype=kind)) for size, kind in kinds]
    for i, weight in enumerate(weights[team.rank :]):  # the second process has no gradient of the first weight
        weight.grad = torch.full_like(weight, 0.1 + i)
    team.sum_gradients(weights)
    team.refuse_difference("the run", "a1")
    try:
        team.refuse_difference("the run", f"a{team.rank}")
    except ConfigError as error:
        refused = str(error)
    return {
        "sum": team.sum(0.1 + team.rank),
        "smallest": team.smallest(7 - team.rank),
        "any": [team.any(team.rank == 1), team.any(False)],
        "from_first": team.from_first(f"said by {team.rank}"),
        "refused": refused,
        "gradients": [weight.grad.tolist() for weight in weights if weight.grad is not None],
    }


def main(base: Path, out: Path) -> None:
    with processes() as team:
        write_json(out / f"talk-{team.rank}.json", talk(team))
        for case in CASES:
            learnt = learn(case, base, team)
            if team.is_first:
                save_file({k: v.contiguous() for k, v in learnt.weights.items()}, out / f"{case}.weights.safetensors")
                save_file({k: v.contiguous() for k, v in learnt.moments.items()}, out / f"{case}.moments.safetensors")
                write_json(out / f"{case}.json", learnt.figures)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
