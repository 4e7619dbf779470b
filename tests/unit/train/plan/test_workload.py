from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import write_json, write_jsonl
from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.lm.load import load_stops, load_tokenizer
from serin.train.data.examples import render_split
from serin.train.data.splits import read_split
from serin.train.plan.workload import Workload, workload_of

NOWHERE = Path("nowhere")


def quality(records: int, tokens: dict[str, int]) -> dict[str, Any]:
    validation = {"records": 2, "tokens": {"0": 10, "0.5": 12, "1": 14} if tokens else {}}
    return {"splits": {"train": {"records": records, "tokens": tokens}, "validation": validation}}


def written(folder: Path, records: int, tokens: dict[str, int]) -> Path:
    write_json(folder / "quality.json", quality(records, tokens))
    return folder


def conversations(folder: Path, answers: Sequence[str]) -> Path:
    write_jsonl(
        folder / "train.jsonl",
        [
            {
                "messages": [{"role": "user", "content": f"Rule {i}?"}, {"role": "assistant", "content": answer}],
                "meta": {"id": f"r{i}"},
            }
            for i, answer in enumerate(answers)
        ],
    )
    return folder


QUANTILES = {"0": 10, "0.25": 20, "0.5": 30, "0.75": 40, "0.95": 50, "0.99": 60, "1": 100}


def test_quality_alone_gives_as_many_examples_and_lengths_like_the_datas(tmp_path: Path) -> None:
    work = workload_of(written(tmp_path, 1000, QUANTILES), NOWHERE, TrainParams())
    lengths = sorted(work.tokens)
    assert len(lengths) == 1000
    assert work.is_known
    assert lengths[-1] == 100
    assert lengths[500] == pytest.approx(30, abs=1)
    assert work.validation_tokens == 2 * 12
    assert "every token is taken to be trained on" in work.notes[0]


def test_too_long_examples_are_refused_dropped_or_cut_as_training_does(tmp_path: Path) -> None:
    folder = written(tmp_path, 1000, QUANTILES)
    with pytest.raises(ConfigError, match=r"has 100 tokens, more than train\.max_tokens = 50"):
        workload_of(folder, NOWHERE, TrainParams(max_tokens=50))
    dropped = workload_of(folder, NOWHERE, TrainParams(max_tokens=50, over_long="drop"))
    assert 940 <= len(dropped.tokens) <= 955
    assert max(dropped.tokens) <= 50
    cut = workload_of(folder, NOWHERE, TrainParams(max_tokens=50, over_long="truncate"))
    assert (len(cut.tokens), max(cut.tokens)) == (1000, 50)


def test_data_that_is_too_long_altogether_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no example of the train split is as short"):
        workload_of(written(tmp_path, 3, {"0": 50, "1": 60}), NOWHERE, TrainParams(max_tokens=40, over_long="drop"))


def test_without_lengths_the_longest_is_assumed_and_said(tmp_path: Path) -> None:
    measured = workload_of(written(tmp_path, 7, {}), NOWHERE, TrainParams(max_tokens=64))
    assert (measured.tokens, measured.is_known) == ((64,) * 7, True)
    assert "tells no lengths: every example is taken to have train.max_tokens = 64 tokens" in measured.notes[0]
    unknown = workload_of(tmp_path / "none", NOWHERE, TrainParams(max_tokens=64, batch_size=3))
    assert (unknown.tokens, unknown.is_known) == ((64,) * 3, False)


def test_the_data_itself_gives_what_training_renders(tmp_path: Path, tiny_base: Path) -> None:
    written(conversations(tmp_path, ["Six months.", "No.", "At most six months, by article 19."] * 5), 15, QUANTILES)
    params = TrainParams()
    work = workload_of(tmp_path, tiny_base, params)
    tokenizer = load_tokenizer(tiny_base)
    rendered = render_split(tokenizer, load_stops(tiny_base, tokenizer), read_split(tmp_path, "train"), params, "train")
    assert work.tokens == tuple(len(e.input_ids) for e in rendered.examples)
    assert work.trained_tokens == tuple(e.trained_tokens for e in rendered.examples)
    assert work.notes == ()


def test_an_empty_split_is_refused_as_training_does(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(ConfigError, match="the train split is empty"):
        workload_of(conversations(tmp_path, []), tiny_base, TrainParams())


def test_of_much_data_a_part_is_rendered_and_all_of_it_counted(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serin.train.plan.workload._RENDERED_CONVERSATIONS", 10)
    work = workload_of(conversations(tmp_path, ["Six months."] * 25), tiny_base, TrainParams())
    assert len(work.tokens) == len(work.trained_tokens) == 25
    assert "lengths are those of 9 of 25 conversations" in work.notes[0]


def test_the_heaviest_micro_batch_is_the_longest_that_the_order_makes() -> None:
    tokens = (1, 9, 2, 8, 3, 7)
    work = Workload(tokens, tokens, 0, True, ())
    whole = work.heaviest(TrainParams(batch_size=6, epochs=1), 2)
    assert sorted(whole) == [(8, 8), (9, 9)]  # a step's examples stand in order of length
    assert (
        sorted(work.heaviest(TrainParams(batch_size=6, epochs=1), 4)) == [(1, 1), (2, 2), (3, 3), (7, 7)]
        or sum(length for length, _ in work.heaviest(TrainParams(batch_size=6, epochs=1), 4)) == 8 + 9
    )
