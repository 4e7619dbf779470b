"""Tasks of lm-evaluation-harness from a folder of one's own, on a real model, without a network."""

import json
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.conversation import Message
from serin.core.errors import ConfigError
from serin.core.params import ForgettingParams
from serin.evaluate.forgetting.harness import load_tasks, run_tasks
from serin.lm.chat import render_prompt
from serin.lm.load import load_model, load_tokenizer

pytest.importorskip("lm_eval")

CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
  cache_dir: {cache}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
"""
GENERATE = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
  cache_dir: {cache}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{reply}}}}"
generation_kwargs: {{until: ["\\n\\n"], max_gen_toks: 8, do_sample: false}}
"""
EXACT = """\
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
BLEU = """\
metric_list:
  - {{metric: bleu}}
"""
LOWER = """\
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: false}}
"""


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> PreTrainedModel:
    return load_model(tiny_base, torch.float32)


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> PreTrainedTokenizerBase:
    """Without a pad token, which the harness would give it, and with a template that shows the date."""
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.pad_token = None
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}:" + str(tokenizer.chat_template)
    return tokenizer


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **_: Any) -> Any:
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tasks over six questions, a group of two of them, and a file that is no task."""
    folder = tmp_path_factory.mktemp("tasks")
    documents = [
        {
            "question": f"What is {i} plus {i}?",
            "choices": [str(2 * i), "a fish", "green"],
            "answer": 0,
            "reply": str(2 * i),
        }
        for i in range(6)
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    texts = {"sums": CHOICE, "said": GENERATE + EXACT, "bleu": GENERATE + BLEU, "lower": GENERATE + LOWER}
    texts["shots"] = CHOICE + "num_fewshot: 2\nfewshot_split: test\n"
    texts["code"] = GENERATE + EXACT + "unsafe_code: true\n"
    for name, text in texts.items():
        filled = text.format(name=f"tiny_{name}", data=folder / "data.jsonl", cache=folder / "cache")
        (folder / f"{name}.yaml").write_text(filled)
    lost = CHOICE.format(name="tiny_lost", data=folder / "lost.jsonl", cache=folder / "cache")
    (folder / "lost.yaml").write_text(lost)
    (folder / "group.yaml").write_text("group: tiny_all\ntask: [tiny_sums, tiny_said]\n")
    (folder / "broken.yaml").write_text("task: [unclosed")
    return folder


def params(folder: Path, *tasks: str, questions: int | None = None) -> ForgettingParams:
    return ForgettingParams(tasks=list(tasks), task_folder=str(folder), task_questions=questions)


def likelihood(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, context: str, choice: str) -> float:
    """Of a continuation, in nats: what the harness compares."""
    before = tokenizer(context, add_special_tokens=False)["input_ids"]
    after = tokenizer(context + choice, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([after])).logits[0].log_softmax(-1)
    return sum(float(logits[i - 1, after[i]]) for i in range(len(before), len(after)))


def test_each_document_has_its_score(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = load_tasks(params(folder, "tiny_sums", "tiny_said"))
    before = (random.getstate(), torch.random.get_rng_state().tolist(), tokenizer.pad_token_id)
    scores = run_tasks(params(folder, "tiny_sums", "tiny_said"), model, tokenizer, 4, loaded)
    assert (random.getstate(), torch.random.get_rng_state().tolist(), tokenizer.pad_token_id) == before
    assert capfd.readouterr().err == "", "a stage shows progress of its own"
    wanted = []
    for i in range(6):
        context = f"Question: What is {i} plus {i}?\nAnswer:"
        found = [likelihood(model, tokenizer, context, f" {choice}") for choice in (str(2 * i), "a fish", "green")]
        wanted.append(float(found.index(max(found)) == 0))
    assert scores["tiny_sums"].values == tuple(wanted)
    assert scores["tiny_said"].values == (0.0,) * 6
    again = run_tasks(params(folder, "tiny_sums", "tiny_said"), model, tokenizer, 1, loaded)
    assert again == scores, "whatever the batch, and with tasks that were run before"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The prompts that the model is given, by the kind of request."""
    from lm_eval.models.huggingface import HFLM

    seen: dict[str, list[str]] = {}
    for kind in ("loglikelihood", "generate_until"):
        real = getattr(HFLM, kind)

        def record(self: Any, requests: Any, real: Any = real, kind: str = kind, **more: Any) -> Any:
            seen.setdefault(kind, []).extend(request.args[0] for request in requests)
            return real(self, requests, **more)

        monkeypatch.setattr(HFLM, kind, record)
    return seen


def test_only_what_generates_is_put_into_the_chat_template(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seen: dict[str, list[str]]
) -> None:
    run_tasks(params(folder, "tiny_sums", "tiny_said", questions=2), model, tokenizer, 4)
    asked = tokenizer.decode(render_prompt(tokenizer, [Message("user", "What is 0 plus 0?")]))
    assert asked.startswith("26 Jul 2024:"), "what is asked does not depend on the day"
    assert seen["generate_until"][0] == asked
    assert seen["loglikelihood"][0] == "Question: What is 0 plus 0?\nAnswer:"


def test_every_model_is_shown_the_same_examples(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seen: dict[str, list[str]]
) -> None:
    loaded = load_tasks(params(folder, "tiny_shots"))
    prompts = []
    for _ in range(2):
        seen.clear()
        run_tasks(params(folder, "tiny_shots"), model, tokenizer, 4, loaded)
        prompts.append(seen["loglikelihood"])
    assert prompts[0] == prompts[1]
    assert len({prompt.split("\n\n")[0] for prompt in prompts[0]}) > 1, "which are drawn anew for each document"


def test_a_group_has_the_documents_of_its_tasks_and_a_limit_holds_for_each(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    scores = run_tasks(params(folder, "tiny_all", "tiny_sums", questions=2), model, tokenizer, 4)
    assert {name: len(found.values) for name, found in scores.items()} == {"tiny_all": 4, "tiny_sums": 2}
    assert scores["tiny_all"].values[:2] == scores["tiny_sums"].values


def test_without_tasks_nothing_is_run(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    assert run_tasks(ForgettingParams(), model, tokenizer, 4) == {}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("tiny_sum", r"there is no task 'tiny_sum', near it are tiny_sums.*; .* may have it in a file that is no task"),
        ("tiny_bleu", r"tiny_bleu measures bleu, none of which is a mean over documents"),
        ("tiny_lower", r"tiny_lower measures exact_match, none of which .* better when higher"),
        ("tiny_code", r"tiny_code runs code that a model wrote, which Serin does not do"),
        ("tiny_lost", r"tiny_lost cannot be loaded \(FileNotFoundError.*lost\.jsonl.*HF_HUB_OFFLINE"),
    ],
)
def test_a_task_that_cannot_be_run_is_named_before_any_model_is_needed(folder: Path, task: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_tasks(params(folder, task))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task_folder = '.*nowhere' is no folder"):
        load_tasks(params(tmp_path / "nowhere", "x"))


def test_without_the_harness_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "lm_eval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ConfigError, match=r"needs lm-evaluation-harness .*pip install 'serin\[harness\]'"):
        load_tasks(params(folder, "tiny_sums"))
