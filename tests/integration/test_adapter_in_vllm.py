"""vLLM serves an adapter as training wrote it: its real engine on a CPU gives plain PEFT's tokens and probabilities."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from peft import PeftModel

from serin.core.params import TrainParams
from serin.lm.load import load_model, load_tokenizer
from serin.train.model.build import build

PROMPT = list(range(5, 45))
NEW_TOKENS = 8
ENGINE = """
import json, sys
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest

if __name__ == "__main__":  # the engine's own process imports this file again
    base, adapter, out = sys.argv[1:4]
    prompt, new_tokens = json.loads(sys.argv[4])
    llm = LLM(base, dtype="float32", enforce_eager=True, max_model_len=128, enable_lora=True, max_lora_rank=8)
    greedy = SamplingParams(max_tokens=new_tokens, temperature=0, ignore_eos=True, prompt_logprobs=0)
    found = []
    for lora in (None, LoRARequest("adapter", 1, adapter)):
        (answer,) = llm.generate({"prompt_token_ids": prompt}, greedy, lora_request=lora)
        logprobs = [of[token].logprob for token, of in zip(prompt[1:], answer.prompt_logprobs[1:], strict=True)]
        found.append({"tokens": list(answer.outputs[0].token_ids), "logprobs": logprobs})
    with open(out, "w") as file:
        json.dump(found, file)
"""


def test_vllm_gives_what_plain_peft_gives(tiny_base: Path, tmp_path: Path) -> None:
    params = TrainParams.model_validate({"method": "lora", "lora": {"r": 4, "alpha": 8}})
    model = build(params, tiny_base, load_tokenizer(tiny_base), [])
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.trained.values():
            weight.add_(torch.randn_like(weight) * 0.05)
    model.save(tmp_path / "adapter")
    (tmp_path / "engine.py").write_text(ENGINE)
    answers = tmp_path / "answers.json"
    subprocess.run(
        [
            *(sys.executable, str(tmp_path / "engine.py"), str(tiny_base), str(tmp_path / "adapter"), str(answers)),
            json.dumps([PROMPT, NEW_TOKENS]),
        ],
        env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        check=True,
        timeout=300,
    )
    base = load_model(tiny_base)
    wanted = [expected(base), expected(PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval())]
    found = json.loads(answers.read_text())
    assert wanted[0][0] != wanted[1][0], "the adapter changes no answer, so this test would show nothing"
    for answer, (tokens, logprobs) in zip(found, wanted, strict=True):
        assert answer["tokens"] == tokens
        torch.testing.assert_close(torch.tensor(answer["logprobs"]), logprobs, rtol=0, atol=1e-4)


@torch.no_grad()
def expected(model: torch.nn.Module) -> tuple[list[int], torch.Tensor]:
    """Tokens chosen greedily one by one, and log-probabilities of the prompt's tokens after the first."""
    ids = list(PROMPT)
    for _ in range(NEW_TOKENS):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    logits = model(torch.tensor([PROMPT])).logits[0]
    return ids[len(PROMPT) :], torch.log_softmax(logits, -1)[torch.arange(len(PROMPT) - 1), PROMPT[1:]]
