"""What is trained on begins with what vLLM serves, token for token, for every chat template that TRL ships.

vLLM's own server answers: its renderer behind ``/tokenize`` and behind the chat API, started without an engine, which takes a
tenth of the time. One server takes every template with the request; one tokenizer knows the special tokens of all.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import openai
import pytest
import trl
from openai import OpenAI
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.lm.chat import IGNORED, Example, render_examples, render_prompt
from serin.lm.load import load_tokenizer

FOLDER = Path(trl.__file__).parent / "chat_templates"

TOOLS = (  # not in the API's order, and with a key that the API does not know
    {
        "function": {
            "parameters": {
                "type": "object",
                "properties": {"article": {"type": "integer", "description": "Its number."}},
                "required": ["article"],
            },
            "name": "look_up",
            "description": "Reads an article.",
            "version": 2,
        },
        "type": "function",
    },
)
CALL = (
    {"id": "call00001", "type": "function", "function": {"name": "look_up", "arguments": {"article": 19, "of": "é"}}},
)
FOUND = Message("tool", '{"months": 6}', tool_call_id="call00001", name="look_up")
ASKED, AGAIN = Message("user", "How long?"), Message("user", "试用期呢?")

CONVERSATIONS = {
    "one": ((ASKED, Message("assistant", "Six months.")), ()),
    "two": ((ASKED, Message("assistant", " Six months.\n"), AGAIN, Message("assistant", "At most.")), ()),
    "system": ((Message("system", "Be brief."), ASKED, Message("assistant", "Six.\n\nMonths.")), ()),
    "thought": (
        (
            ASKED,
            Message("assistant", "Six months.", reasoning_content="Article 19."),
            AGAIN,
            Message("assistant", "At most.", reasoning_content="Still 19."),
        ),
        (),
    ),
    "tools": (
        (
            ASKED,
            Message("assistant", "", tool_calls=CALL),
            FOUND,
            Message("assistant", "Six months."),
            AGAIN,
            Message("assistant", "At most."),
        ),
        TOOLS,
    ),
}
PREFIX, APART, PLAIN, THINKS = "1 1 1 1 1", "1 2 1 2 3", "1 1 1 o o", "d d d 2 d"
TEMPLATES = {
    # The tokens that stop the model, and for each conversation how many examples it becomes, or why it is refused:
    # o: the template leaves a call or the thought out; d: the turn does not go on from the prompt, which has begun to think;
    # x: the template refuses it.
    "cohere": ("<|END_OF_TURN_TOKEN|>", PLAIN),
    "cohere2": ("<|END_OF_TURN_TOKEN|>", PLAIN),
    "deepseek_r1_distill": ("<｜end▁of▁sentence｜>", THINKS),
    "deepseekv3": ("<｜end▁of▁sentence｜>", "d d d 2 x"),
    "diffusion_gemma": ("<turn|> <|tool_response>", "1 1 1 2 1"),
    "gemma": ("<end_of_turn>", "1 1 x o o"),
    "gemma3": ("<end_of_turn>", PLAIN),
    "gemma4": ("<turn|> <|tool_response>", "1 1 1 o 1"),
    "gemma4_v2": ("<turn|> <|tool_response>", "1 1 1 o 1"),
    "gemma4_v3": ("<turn|> <|tool_response>", "1 1 1 o 1"),
    "gemma4_v4": ("<turn|> <|tool_response>", "1 1 1 o 1"),
    "gemma4_v5": ("<turn|> <|tool_response>", "1 1 1 2 1"),
    "glm4moe": ("<|endoftext|> <|user|> <|observation|>", "1 1 1 2 1"),
    "gptoss": ("<|return|> <|call|>", "1 2 1 o 3"),
    "lfm2": ("<|im_end|>", PLAIN),
    "lfm2_2_5": ("<|im_end|>", "1 1 1 o 1"),
    "lfm2_2_5_v2": ("<|im_end|>", "1 1 1 2 1"),
    "lfm2_2_5_vl": ("<|im_end|>", "1 1 1 2 1"),
    "lfm2_v2": ("<|im_end|>", "1 1 1 o 1"),
    "llama3": ("<|eot_id|>", PLAIN),
    "llama3_1": ("<|eot_id|>", "1 1 1 o 1"),
    "llama3_2": ("<|eot_id|>", "1 1 1 o 1"),
    "muse_glimmer": ("<|eot|>", PREFIX),
    "nemotron_3_5_lightning": ("<|im_end|>", THINKS),
    "nemotron_3_nano": ("<|im_end|>", THINKS),
    "nemotron_3_super": ("<|im_end|>", THINKS),
    "nemotron_3_ultra": ("<|im_end|>", THINKS),
    "phi3": ("<|end|>", PLAIN),
    "phi3_5": ("<|end|>", PLAIN),
    "qwen2_5": ("<|im_end|>", "1 1 1 o 1"),
    "qwen2_5_vl": ("<|im_end|>", PLAIN),
    "qwen3": ("<|im_end|>", APART),
    "qwen3_5_nothink": ("<|im_end|>", "1 2 1 d 3"),
    "qwen3_5_think": ("<|im_end|>", APART),
    "qwen3_6": ("<|im_end|>", APART),
    "qwen3_8": ("<|im_end|>", "1 2 1 1 3"),
    "qwen3_instruct_2507": ("<|im_end|>", "1 1 1 o 1"),
    "qwen3_vl": ("<|im_end|>", "1 1 1 o 1"),
}
PARTS_ONLY = {
    # Content has to be a list of parts, pictures among them; text alone is dropped or refused, and multimodal is not trained.
    "idefics3": "<end_of_utterance>",
    "llava_next": "</s>",
    "smolvlm": "<end_of_utterance>",
}
REASONS = {"o": "leaves out", "d": "a server would go on from", "x": "cannot render"}


@dataclass(frozen=True)
class Served:
    """A server without an engine, and the tokenizer that it serves."""

    folder: Path
    client: OpenAI

    def prompt(self, messages: Sequence[Message], tools: Any, template: str) -> list[int]:
        """The tokens that the model is given, which ``/tokenize`` and the chat API agree on."""
        extra = {"chat_template": template, **({"tools": tools} if tools else {})}
        turns = [as_a_client_sends_it(message) for message in messages]
        tokens: list[int] = self.ask("/tokenize", {"messages": turns, **extra})["tokens"]
        chat = {"model": "served", "messages": turns, **extra, **({"tool_choice": "none"} if tools else {})}
        assert self.ask("/v1/chat/completions/render", chat)["token_ids"] == tokens
        return tokens

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        return self.client.post(str(self.client.base_url.join(path)), body=body, cast_to=object)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    save_model_without_weights(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "vllm.entrypoints.launchers.render.entry", "--model", str(folder)]
    command += ["--served-model-name", "served", "--host", "127.0.0.1", "--port", port]
    command += ["--trust-request-chat-template", "--chat-template-content-format", "string"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=30.0)
    try:
        with client:
            wait_until_ready(client, process, log)
            yield Served(folder, client)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(client: OpenAI, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            client.models.list()
        except openai.APIConnectionError:
            running = process.poll() is None and time.monotonic() < deadline
            assert running, "\n".join(log.read_text().splitlines()[-30:])
            time.sleep(0.2)
        else:
            return


def save_model_without_weights(folder: Path) -> None:
    """A config, and a tokenizer with one token a byte, one for two line ends, and the templates' special tokens."""
    written = "".join(path.read_text() for path in FOLDER.glob("*.jinja"))
    marks = r"<[|｜][^\s<>'\"{}%|｜]*[|｜]?>|<[a-z_]+\|>|</?(?:s|think|tool_call|start_of_turn|end_of_turn|end_of_utterance)>"
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate([*bytes_, "ĊĊ"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ċ", "Ċ")]))
    line_ends_together = Regex(r"\s*[\r\n]+|\s+(?!\S)|\s+|\S+")  # as the tokenizers of Llama 3 and Qwen cut text
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(line_ends_together, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|begin_of_text|>",
        eos_token="<|endoftext|>",
        extra_special_tokens=sorted(set(re.findall(marks, written))),
        chat_template="with the request",
    )
    tokenizer.save_pretrained(str(folder))
    size = {
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
    }
    Qwen3Config(vocab_size=len(tokenizer), architectures=["Qwen3ForCausalLM"], **size).save_pretrained(str(folder))


def as_a_client_sends_it(message: Message) -> dict[str, Any]:
    """OpenAI's form: arguments are JSON in a string; the thought is ``reasoning``, as vLLM's answers name it."""
    turn = message.as_dict()
    if message.reasoning_content is not None:
        turn["reasoning"] = turn.pop("reasoning_content")
    if message.tool_calls:
        turn["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in message.tool_calls
        ]
    return turn


def spans_of(example: Example) -> list[tuple[int, int]]:
    """Where the loss is: (first, one after the last) of each run of labels."""
    runs = groupby(range(len(example.labels)), lambda i: example.labels[i] != IGNORED)
    return [(span[0], span[-1] + 1) for labelled, run in runs for span in [list(run)] if labelled]


def test_every_template_of_trl_is_tried() -> None:
    shipped = {path.stem for path in FOLDER.glob("*.jinja") if not path.stem.endswith("_training")}
    assert {*TEMPLATES, *PARTS_ONLY} == shipped


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_trained_turn_goes_on_from_the_prompt_that_is_served(served: Served, name: str) -> None:
    tokenizer = load_tokenizer(served.folder)
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    ends, outcomes = TEMPLATES[name]
    stops = set(tokenizer.convert_tokens_to_ids(ends.split()))
    for (kind, (messages, tools)), outcome in zip(CONVERSATIONS.items(), outcomes.split(), strict=True):
        conversation = Conversation(messages, {"id": kind}, tools)
        if outcome in REASONS:
            with pytest.raises(ConfigError, match=REASONS[outcome]):
                render_examples(tokenizer, conversation, stops)
            continue
        spoken = [i for i, message in enumerate(messages) if message.role == "assistant"]
        while True:  # some templates show the date
            today = date.today()
            prompts = [served.prompt(messages[:i], tools, tokenizer.chat_template) for i in spoken]
            if date.today() == today:
                break
        examples = render_examples(tokenizer, conversation, stops, today)
        assert len(examples) == int(outcome), kind
        spans = [(example, *span) for example in examples for span in spans_of(example)]
        for i, prompt, (example, start, end) in zip(spoken, prompts, spans, strict=True):
            assert list(example.input_ids[:start]) == prompt, kind
            assert render_prompt(tokenizer, messages[:i], tools, today) == prompt
            assert [token in stops for token in example.input_ids[start:end]] == [*[False] * (end - start - 1), True]
            assert messages[i].content.strip() in tokenizer.decode(example.input_ids[start:end])


@pytest.mark.parametrize("name", [name for name, (_, outcomes) in TEMPLATES.items() if "d" in outcomes])
def test_what_is_served_is_the_same_where_training_on_it_is_refused(served: Served, name: str) -> None:
    tokenizer = load_tokenizer(served.folder)
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    assert render_prompt(tokenizer, [ASKED]) == served.prompt([ASKED], (), tokenizer.chat_template)


@pytest.mark.parametrize("name", PARTS_ONLY)
def test_a_template_that_drops_plain_text_is_refused(served: Served, name: str) -> None:
    tokenizer = load_tokenizer(served.folder)
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    conversation = Conversation(CONVERSATIONS["one"][0], {"id": "one"})
    with pytest.raises(ConfigError, match=r"leaves out its text|cannot render"):
        render_examples(tokenizer, conversation, {tokenizer.convert_tokens_to_ids(PARTS_ONLY[name])})
