"""The data card as the hub and a reader take it: front matter that parses, and every source, reason and limit in words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.core.params import PrepareParams
from serin.prepare.report.card import render_card

QUALITY = json.loads((Path(__file__).parent / "quality-example.json").read_text(encoding="utf-8"))
REASONS = """
not_json not_utf8 too_large wrong_columns broken_quotes unknown_format mixed_format incomplete other_revision low_score
unknown_role empty_turn empty_answer
role_order nothing_to_train language personal_data sensitive_words too_long template_refuses exact_duplicate near_duplicate
semantic_duplicate benchmark over_weight
"""
BASE = {"model": "Qwen/Qwen3-0.6B", "revision": "c" * 40, "digest": "ab" * 32}
ASKED = {"endpoint": {"url": "http://127.0.0.1:8000/v1", "model": "qwen3-32b"}, "augment": {"paraphrases": 1}}


def card(quality: dict[str, Any] | None = None, base: dict[str, Any] | None = None, **params: Any) -> str:
    return render_card(QUALITY if quality is None else quality, PrepareParams(**params), base or BASE)


def front_matter(text: str) -> dict[str, Any]:
    _, between, _ = text.split("---\n", 2)
    told = yaml.safe_load(between)
    assert isinstance(told, dict)
    return told


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """Cells of every table row, as Markdown divides them."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[" ".join(cell.split()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def with_licenses(*licenses: str | None) -> dict[str, Any]:
    files = [{**QUALITY["files"][0], "source": f"{n}.jsonl", "license": text} for n, text in enumerate(licenses)]
    return {**QUALITY, "files": files}


def test_the_hub_reads_languages_size_splits_and_tags() -> None:
    told = front_matter(card())
    assert told["language"] == ["ar", "en", "zh"]
    assert told["size_categories"] == ["1K<n<10K"]
    assert told["tags"] == ["conversational", "fine-tuning", "serin", "synthetic"]
    (config,) = told["configs"]
    assert [(file["split"], file["path"]) for file in config["data_files"]] == [
        ("train", "train.jsonl"),
        ("validation", "validation.jsonl"),
        ("test", "test.jsonl"),
    ]
    assert "synthetic" not in front_matter(card({**QUALITY, "augmentation": None}))["tags"]


@pytest.mark.parametrize(
    ("records", "size"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (1_000_000, "1M<n<10M"), (10**12, "n>1T")],
)
def test_the_size_is_the_hub_s_order_of_magnitude(records: int, size: str) -> None:
    assert front_matter(card({**QUALITY, "kept": records}))["size_categories"] == [size]


def test_a_licence_is_the_dataset_s_only_where_all_sources_agree() -> None:
    agreed = card(with_licenses("CC-BY-4.0", "CC-BY-4.0"))
    assert front_matter(agreed)["license"] == "cc-by-4.0"
    assert "Every file that records were kept from is under CC-BY-4.0." in agreed
    mixed = card(with_licenses("CC-BY-4.0", "MIT"))
    assert "license" not in front_matter(mixed)
    assert "different licences: CC-BY-4.0, MIT." in mixed
    assert front_matter(card(with_licenses("House rules 2"))) | {
        "license": "other",
        "license_name": "House rules 2",
    } == (front_matter(card(with_licenses("House rules 2"))))


def test_a_licence_that_nobody_stated_is_said_to_be_missing() -> None:
    text = card()
    assert "license" not in front_matter(text)
    sources = section(text, "Sources and licences")
    assert ["general/alpaca-cleaned.json.gz", "alpaca", "not stated", "300", "262"] in rows(sources)
    assert "**The licence of 1 file is not stated:** general/alpaca-cleaned.json.gz." in sources


@pytest.mark.parametrize("reason", REASONS.split())
def test_every_reason_is_explained_in_words(reason: str) -> None:
    removed = section(card({**QUALITY, "rejected": {reason: 157}}), "What was removed and why")
    assert "157 records of 1,268 (12.4\xa0%)" in removed
    _, (name, count, share, why) = rows(removed)
    assert (count, share) == ("157", "12.4 %")
    assert "_" not in name
    assert len(why.split()) >= 5


def test_personal_data_says_what_is_gone_and_what_is_still_in() -> None:
    text = section(card(personal_data={"ip_address": "report", "phone": "ignore"}), "Personal data")
    assert ["e-mail address", "12", "9", "redacted: replaced by a placeholder"] in rows(text)
    assert "**Not taken out**, as the params ask: phone number (ignored), IP address (reported only)." in text
    assert "2 records by the list en, 0 records by the list zh; they were kept" in text
    assert "Every type that is known was taken out" in section(card(), "Personal data")


def test_duplicates_leakage_and_splits_are_told_with_their_settings() -> None:
    text = card(near_duplicates={"threshold": 0.7}, split={"group": "case", "salt": "s1"})
    leakage = section(text, "Duplicates and leakage")
    assert "a Jaccard similarity of 0.7 or more: 47." in leakage
    assert "In other words: not looked for." in leakage
    assert "4 of these would have stood in another split" in leakage
    assert "Benchmark lawbench.jsonl: 500 records read (2 unreadable); 3 of the sources' records" in leakage
    splits = section(text, "Splits")
    assert ["train", "778", "70.0 %", "152", "what is learnt from"] in rows(splits)
    assert "(salt s1)" in splits
    assert "All of held-out.jsonl.zst was put in test." in splits
    compared = card(
        {**QUALITY, "duplicates": {**QUALITY["duplicates"], "semantic": 6}}, semantic_duplicates={"model": "e5"}
    )
    assert "In other words: 6, at a cosine similarity of 0.95 or more." in compared


def test_how_it_was_made_names_the_tokenizer_and_nothing_of_the_machine() -> None:
    text = section(card(), "How it was made")
    assert f"tokens of Qwen/Qwen3-0.6B, revision {'c' * 40} (content {'ab' * 6}) with its chat template" in text
    assert "at most 256; longer ones were rejected. Median 84, longest 256." in text
    assert "white space in 58 records, normalisation in 21 records" in text
    local = card(base={"model": "/data/models/qwen3", "revision": None, "digest": "ab" * 32})
    assert "tokens of qwen3 (content" in local
    assert "/data" not in local
    assert re.findall(r"^(\d)\.", text, re.MULTILINE) == list("1234567"), "one list, numbered through"


def test_augmentation_tells_what_a_model_made() -> None:
    text = card(**ASKED)
    made = section(text, "Augmentation")
    assert [row[:3] for row in rows(made)][1:3] == [["variants by rule", "120", "96"], ["paraphrases", "60", "41"]]
    assert "The model asked was qwen3-32b: 90 questions, of which 1 failed" in made
    assert "Records made by a model may state what their source does not." in text
    assert "None: every record comes from a file" in card({**QUALITY, "augmentation": None})


def test_limits_follow_from_what_was_not_checked() -> None:
    limits = section(card(), "Known limits")
    assert "Names, postal addresses" in limits
    assert "here it is empty" in limits
    assert "in the benchmarks named above only" in limits
    without = {**QUALITY, "contamination": {"between_splits": 0, "benchmarks": []}}
    assert "Leakage from public benchmarks was not looked for." in section(card(without), "Known limits")
    assert "other phrasings of a test question's fact" not in section(card(split={"by": "group"}), "Known limits")
    cut = {**QUALITY, "mended": {"truncated": 5}}
    assert "5 conversations were cut short" in section(card(cut, too_long="truncate"), "Known limits")


def test_names_with_markdown_or_html_in_them_do_not_break_the_card() -> None:
    file = {**QUALITY["files"][0], "source": "a|b *c* `d` <script>\n# e.csv", "license": "x: [y](http://z)"}
    text = card({**QUALITY, "files": [file], "languages": {"a|b": 3}})
    assert "<script>" not in text
    assert "\n# e.csv" not in text
    assert front_matter(text)["license_name"] == "x: [y](http://z)"
    for title in ("Sources and licences", "Languages"):
        head, *body = rows(section(text, title))
        assert {len(row) for row in body} == {len(head)}


def test_an_empty_dataset_has_a_card_too() -> None:
    text = render_card({"read": 0, "kept": 0}, PrepareParams(), None)
    assert front_matter(text)["size_categories"] == ["n<1K"]
    assert "configs" not in front_matter(text)
    for words in ("An empty dataset", "No files were read.", "None was found.", "The records were not split."):
        assert words in text


def test_the_same_figures_give_the_same_card_in_whatever_order_they_come() -> None:
    assert card(json.loads(json.dumps(QUALITY, sort_keys=True))) == card()
    assert "\n\n\n" not in card()
