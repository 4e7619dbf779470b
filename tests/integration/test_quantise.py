"""llm-compressor itself, in its own environment, quantises a small model; transformers and vLLM answer with what it made.

The environment is made once, by the verb's own set-up, in ``.serin/quantise`` (or it is what SERIN_QUANTISE_PYTHON names).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from serin.base import stage as base_stage
from serin.cli.quantise import command
from serin.clients.files import read_manifest, seal
from serin.clients.models import Pointer, read_pointer, store_model
from serin.clients.storage import FolderStorage
from serin.core.params import BaseParams, QuantiseParams
from serin.lm.load import load_model, load_stops, load_tokenizer
from serin.quantise.calibration import draw, read_calibration, render
from serin.quantise.environment import FOLDER, VARIABLE, find_python, set_up

ROOT = Path(__file__).parents[2]
PARAMS = QuantiseParams(calibration_records=8)
SCHEMES = ("w8a8-int8", "w4a16", "fp8")
LARGEST = {"w8a8-int8": 0.05, "w4a16": 0.1, "fp8": 0.15}
"""How far a token's log-probability may move, in nats."""
QUICK = {
    "max_new_tokens": 4,
    "resamples": 200,
    "slices": ["language"],
    "rules": [{"metric": "perplexity", "over": "base", "below": 0.5}],
    "safety": {"red_team": []},
    "forgetting": {"general": []},
}
BITS = {"w8a8-int8": 8, "w4a16": 4, "fp8": 8}
HAS_AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text()
SERVED_HERE = ("w8a8-int8", "w4a16") if HAS_AVX512 else ("w8a8-int8",)
"""vLLM's build for CPUs without AVX-512 has no kernel for weights of 4 bits (``cpu_gemm_wna16``)."""
ENGINE = """
import json, sys
from vllm import LLM, SamplingParams

out, prompts, *models = json.loads(sys.argv[1])
how = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)
found = {}
for model in models:
    engine = LLM(model, dtype="bfloat16", enforce_eager=True, max_model_len=128, disable_log_stats=True)
    answers = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], how, use_tqdm=False)
    found[model] = [
        of[token].logprob
        for prompt, answer in zip(prompts, answers, strict=True)
        for token, of in zip(prompt[1:], answer.prompt_logprobs[1:], strict=True)
    ]
    del engine
with open(out, "w") as file:
    json.dump(found, file)
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """Of the environment that llm-compressor is in."""
    if VARIABLE not in os.environ:
        set_up(ROOT / FOLDER, os.environ)
    return find_python(ROOT / FOLDER, os.environ)


class Project:
    """A folder with params, a dataset, and a model that a merge has stored."""

    def __init__(self, folder: Path, model: Path, dataset: Path, python: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, VARIABLE: str(python)}
        self.storage = FolderStorage(folder / "storage")
        values = {"storage": {"url": str(folder / "storage")}, "quantise": PARAMS.model_dump(), "evaluate": QUICK}
        (folder / "params.yaml").write_text(yaml.safe_dump(values))
        base_stage.run(BaseParams(model=str(model)), folder / "base", lambda *_: None)
        shutil.copytree(dataset, folder / "dataset")
        shutil.copytree(model, folder / "model")
        inputs = {"base": base_stage.load(folder / "base").digest, "dataset": read_manifest(dataset, "dataset").digest}
        manifest = seal(folder / "model", kind="model", inputs=inputs)
        self.merged = store_model(manifest, folder / "model", "law-qa", self.storage, folder / "merged")

    def arguments(self, scheme: str, out: str) -> list[str]:
        places = {"params": "params.yaml", "merged": "merged", "dataset": "dataset", "out": out}
        return [
            "--scheme",
            scheme,
            *(text for name, at in places.items() for text in (f"--{name}", str(self.folder / at))),
        ]

    def quantise(self, scheme: str, out: str) -> tuple[Pointer, str]:
        done = CliRunner(env=self.environment).invoke(command, self.arguments(scheme, out), catch_exceptions=False)
        return read_pointer(self.folder / out), done.output

    def serin(self, *arguments: str, says: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "serin", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=says,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def stored(self, pointer: Pointer) -> Path:
        return self.storage.fetch_folder(pointer.prefix, self.folder / "unused")


@pytest.fixture(scope="module")
def project(tiny_base: Path, tiny_dataset: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("quantise"), tiny_base, tiny_dataset, python)


@pytest.fixture(scope="module")
def made(project: Project) -> Mapping[str, tuple[Pointer, str]]:
    """Each scheme's export, and what the verb said."""
    return {scheme: project.quantise(scheme, scheme) for scheme in SCHEMES}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_export_is_a_candidate_with_a_digest_of_its_own(
    scheme: str, project: Project, made: Mapping[str, tuple[Pointer, str]]
) -> None:
    pointer, said = made[scheme]
    manifest = read_manifest(project.stored(pointer), "model", verify=True)
    assert manifest.digest == pointer.digest
    assert len({project.merged.digest, *(found.digest for found, _ in made.values())}) == 4
    assert pointer.name == project.merged.name
    looked_at = {"calibration": project.merged.inputs["dataset"]} if scheme != "fp8" else {}
    assert pointer.inputs == {**project.merged.inputs, "merged": project.merged.digest, **looked_at}
    assert manifest.params["scheme"] == scheme
    assert manifest.lineage["quantised_with"]["llmcompressor"]
    assert f"law-qa@{pointer.digest[:12]} ({scheme})" in said


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_export_is_a_hugging_face_folder_in_fewer_bits(
    scheme: str, project: Project, made: Mapping[str, tuple[Pointer, str]]
) -> None:
    folder, merged = project.stored(made[scheme][0]), project.stored(project.merged)
    config = json.loads((folder / "config.json").read_text())
    (group,) = config["quantization_config"]["config_groups"].values()
    assert group["weights"]["num_bits"] == BITS[scheme]
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (folder / name).read_bytes() == (merged / name).read_bytes()
    saved = 1 - (folder / "model.safetensors").stat().st_size / (merged / "model.safetensors").stat().st_size
    assert saved > 0.3


def test_the_same_inputs_give_the_same_bytes(project: Project, made: Mapping[str, tuple[Pointer, str]]) -> None:
    assert project.quantise("w4a16", "again")[0] == made["w4a16"][0]


def test_a_quantised_candidate_is_asked_judged_and_published_as_any_other(
    project: Project, made: Mapping[str, tuple[Pointer, str]]
) -> None:
    revision = f"law-qa@{made['w4a16'][0].digest}"
    answers = project.serin("chat", "--merged", "w4a16", "--max-new-tokens", "4", says="How long?\n")
    assert answers.returncode == 0, answers.stderr
    assert answers.stderr.splitlines() == ["loading law-qa-" + revision[7:15], "talking to law-qa-" + revision[7:15]]
    places = ("--base", "base", "--dataset", "dataset")
    judged = project.serin("evaluate", "--merged", "w4a16", "--out", "evaluation", "--gate", *places)
    assert judged.returncode == 0, judged.stderr
    assert f"verdict on {revision}: passed" in judged.stdout
    refused = project.serin("publish", "--merged", "w8a8-int8", "--evaluation", "evaluation", *places)
    assert (refused.returncode, f"the verdict is about {revision[7:19]}" in refused.stderr) == (3, True)
    published = project.serin("publish", "--merged", "w4a16", "--evaluation", "evaluation", *places)
    assert (published.returncode, revision in published.stdout) == (0, True), published.stderr
    assert f"from merged {project.merged.digest}" in project.serin("models", "lineage", revision).stdout


@pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated"
)  # torch's own, where compressed-tensors loads it
def test_vllm_and_transformers_answer_as_the_merged_model_does(
    project: Project, made: Mapping[str, tuple[Pointer, str]], tmp_path: Path
) -> None:
    """Log-probabilities of each token of the calibration's conversations, in nats."""
    merged = project.stored(project.merged)
    tokenizer = load_tokenizer(merged)
    drawn = draw(read_calibration(project.folder / "dataset"), PARAMS.calibration_records, PARAMS.seed)
    prompts = render(tokenizer, drawn, load_stops(merged, tokenizer), PARAMS.max_tokens)
    wanted = logprobs(merged, prompts)
    assert wanted.std() > 0.05, "all tokens are as probable, so this test would show nothing"
    folders = {scheme: project.stored(made[scheme][0]) for scheme in SCHEMES}
    loaded = {scheme: logprobs(folder, prompts) for scheme, folder in folders.items()}
    served = serve(tmp_path, prompts, {scheme: folders[scheme] for scheme in SERVED_HERE})
    for scheme, largest in LARGEST.items():
        torch.testing.assert_close(loaded[scheme], wanted, rtol=0, atol=largest)
        if scheme in served:
            torch.testing.assert_close(served[scheme], loaded[scheme], rtol=0, atol=0.05)


def serve(folder: Path, prompts: list[list[int]], models: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """What vLLM's engine says of each prompt's tokens after the first, by model."""
    (folder / "engine.py").write_text(ENGINE)
    job = json.dumps([str(folder / "found.json"), prompts, *map(str, models.values())])
    subprocess.run(
        [sys.executable, str(folder / "engine.py"), job],
        env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"},
        check=True,
        timeout=500,
    )
    found = json.loads((folder / "found.json").read_text())
    return {scheme: torch.tensor(found[str(folder)]) for scheme, folder in models.items()}


@torch.no_grad()
def logprobs(model: Path, prompts: list[list[int]]) -> torch.Tensor:
    """The same by transformers."""
    loaded = load_model(model, torch.bfloat16)
    found = []
    for prompt in prompts:
        logits = loaded(torch.tensor([prompt])).logits[0].float()
        found.append(torch.log_softmax(logits, -1)[torch.arange(len(prompt) - 1), prompt[1:]])
    return torch.cat(found)


@pytest.fixture
def running(project: Project) -> Iterator["subprocess.Popen[bytes]"]:
    """The verb at work, its child started."""
    main = "from serin.cli.quantise import command; command()"
    with subprocess.Popen(
        [sys.executable, "-c", main, *project.arguments("w8a8-int8", "killed")], env=project.environment
    ) as process:
        while not list(project.folder.glob(".killed.*/job.json")):
            assert process.poll() is None
            time.sleep(0.02)
        yield process
        process.kill()


def test_a_kill_leaves_nothing_that_looks_complete(project: Project, running: "subprocess.Popen[bytes]") -> None:
    stored = project.storage.list("models/")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.02)
    (child,) = found
    running.send_signal(signal.SIGKILL)
    running.wait(20)
    end = time.monotonic() + 60
    while Path(f"/proc/{child}/exe").exists():
        assert time.monotonic() < end, "what was started goes on by itself"
        time.sleep(0.05)
    assert not (project.folder / "killed").exists()
    assert project.storage.list("models/") == stored
