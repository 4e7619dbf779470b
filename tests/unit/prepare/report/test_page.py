"""The report as a reader sees it: figures, samples and words, from a realistic quality.json and from next to nothing."""

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from serin.prepare.report.page import Samples, render_report

QUALITY = json.loads((Path(__file__).parent / "quality-example.json").read_text(encoding="utf-8"))
REASONS = """
not_json not_utf8 too_large wrong_columns broken_quotes unknown_format mixed_format incomplete other_revision low_score
unknown_role empty_turn empty_answer
role_order nothing_to_train language personal_data sensitive_words too_long template_refuses exact_duplicate near_duplicate
semantic_duplicate benchmark over_weight
"""
BLOCKS = {"dd", "div", "dt", "li", "p", "small", "td", "th"}
HOSTILE = "</pre><script>alert('&')</script><img src=x onerror=y>"


class Page(HTMLParser):
    """What a reader gets: visible text, table rows, headings, and every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.headings: list[str] = []
        self.marked: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in BLOCKS:
            self.handle_data(" ")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if {"style", "title"} & set(self.open):
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        if {"h1", "h2", "h3"} & set(self.open):
            self.headings[-1] += data
        if "mark" in self.open:
            self.marked[-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def row(self, name: str) -> list[str]:
        """The first table row that begins with a name, whatever explains it beneath."""
        return next(row for row in self.rows if row and (row[0] == name or row[0].startswith(name + " ")))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(quality: Mapping[str, Any], samples: Samples | None = None, max_tokens: int | None = 256) -> Page:
    return Page(render_report(quality, samples or Samples(), max_tokens))


def chat(*turns: tuple[str, str], **meta: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"messages": messages, "meta": {"id": "1", "source": "a.jsonl:1", **meta}, "split": "train"}


def samples() -> Samples:
    called = {"function": {"name": "severance", "arguments": '{"years": 5}'}}
    with_tools = {
        "messages": [
            {"role": "user", "content": "What is due after 5 years?"},
            {"role": "assistant", "content": "", "reasoning_content": "A sum, so: the tool.", "tool_calls": [called]},
            {"role": "tool", "content": '{"months": 5}', "name": "severance"},
            {"role": "assistant", "content": "Five months.", "train": False},
            {"role": "user", "content": "Thanks."},
            {"role": "assistant", "content": "Welcome."},
        ],
        "tools": [{"type": "function", "function": {"name": "severance"}}],
        "meta": {
            "id": "2",
            "source": "tools.jsonl:4",
            "language": "en",
            "augmented": {"by": "paraphrase", "of": "0a1b"},
        },
        "split": "test",
    }
    arabic = chat(("user", "ما هي المدة؟"), ("assistant", "ستة أشهر."), language="ar")
    chinese = chat(("user", "试用期多久？"), ("assistant", "写信给[EMAIL]。"), language="zh")
    near = {
        "source": "b.csv",
        "line": 9,
        "reason": "near_duplicate",
        "of": "a.jsonl:3",
        "record": {"q": "多久", "a": ""},
    }
    broken = {"source": "a.jsonl", "line": 7, "reason": "not_json", "record": '{"q": "Is it <b>'}
    return Samples(
        kept=[with_tools, arabic, chinese],
        rejected={"near_duplicate": [near], "not_json": [broken]},
        mended=[("encoding", "itâ€™s due", "it’s due"), ("invisible", "over\u200btime\u202e", "overtime")],
        personal_data=[("EMAIL", "… write to [EMAIL] before Friday …")],
    )


def test_the_verdict_and_the_figures_that_matter_come_first() -> None:
    page = read(QUALITY)
    start = page.text[: page.text.index("What each step left")]
    assert page.headings[0] == "1,111 of 1,268 records kept"
    assert "Gate: no" in start
    assert "1 of 3 limits does not hold: 12.4 % of the records were rejected, at most 10.0 % may be." in start
    for figures in (
        "157 12.4 % of those read",
        "85 of 61 records",
        "778 70.0 % of those kept",
        "71,234 longest 256 of 256",
    ):
        assert figures in start


def test_a_gate_that_holds_and_one_that_is_not_there_are_told_apart() -> None:
    holds = {"passed": True, "rules": [QUALITY["gate"]["rules"][2]]}
    assert "Gate: yes The one limit holds." in read({**QUALITY, "gate": holds}).text
    without = read({**QUALITY, "gate": {"passed": True, "rules": []}})
    assert "No limits set" in without.text
    assert "Gate: " not in without.text
    assert "Limits" not in without.headings


def test_each_step_says_what_it_left_and_took() -> None:
    page = read(QUALITY)
    assert page.row("read")[-2:] == ["1,268", "–"]
    assert page.row("near duplicates")[-2:] == ["1,129", "−47"]
    assert page.row("mix")[-2:] == ["1,111", "−15"]
    assert len([row for row in page.rows if len(row) == 5 and row[-1].strip()[:1] in "−–"]) == len(QUALITY["steps"])


@pytest.mark.parametrize("reason", REASONS.split())
def test_every_reason_is_explained_in_words(reason: str) -> None:
    record = {"source": "a.jsonl", "line": 3, "reason": reason, "record": "x"}
    page = read({**QUALITY, "rejected": {reason: 157}}, Samples(rejected={reason: [record]}))
    (row,) = [row for row in page.rows if row[-2:] == ["157", "12.4 %"]]
    meaning = row[1]
    assert len(meaning.split()) >= 5
    assert meaning.endswith(".")
    assert page.text.count(meaning) >= 2, "in the table, and beside the samples"


def test_a_reason_without_words_is_shown_by_its_name() -> None:
    page = read({**QUALITY, "rejected": {"brand_new": 3}})
    assert page.row("brand new")[-2:] == ["3", "0.2 %"]


def test_the_commonest_reason_comes_first_and_leads_to_its_samples() -> None:
    page = read(QUALITY, samples())
    names = [row[0] for row in page.rows if len(row) == 4 and row[0].startswith(("near dup", "exact dup", "not JSON"))]
    assert [name[:5] for name in names] == ["near ", "exact", "not J"]
    assert {"#rejected-near_duplicate", "#rejected-not_json"} <= {link["href"] for link in page.named("a")}


def test_every_file_tells_its_format_compression_and_share() -> None:
    page = read(QUALITY)
    packed = page.row("general/alpaca-cleaned.json.gz")
    assert [packed[1], packed[2], packed[3], packed[4], packed[6]] == ["alpaca gzip", "gzip", "300", "262", "87.3 %"]
    assert page.row("notes.jsonl")[1:5] == ["unknown", "none", "12", "0"]
    assert page.row("held-out.jsonl.zst all of it to test · CC-BY-4.0")[-1] == "100.0 %"
    assert page.row("questions.csv gb18030 · CC-BY-4.0")[-1] == "82.4 %"


def test_many_files_are_summed_up_and_the_worst_are_named() -> None:
    good = [{**QUALITY["files"][0], "source": f"part-{n:03}.jsonl", "read": 5000, "kept": 4999} for n in range(200)]
    page = read({**QUALITY, "read": 1_000_000, "files": [*good, {**good[0], "source": "bad.jsonl", "kept": 1}]})
    assert "of 1,000,000 records kept" in page.headings[0]
    assert page.row("bad.jsonl")[-1] == "< 0.1 %"
    assert page.row("171 more files, listed in quality.json")[3] == "855,000"
    assert "part-199" not in page.text


def test_lengths_are_drawn_with_their_quantiles_and_limit() -> None:
    page = read(QUALITY)
    assert len([r for r in page.named("rect") if "class" not in r]) == 15, "a bar for each bin that holds something"
    (plot,) = [svg for svg in page.named("svg") if svg.get("role") == "img"]
    assert "64 to 80 tokens: 203" in str(plot["aria-label"])
    for words in ("median 84", "95 % are within 189", "max_tokens 256"):
        assert words in page.text
    assert ["18", "61", "84", "117", "189", "238", "256"] in page.rows
    assert "max_tokens 4,096" not in read(QUALITY, max_tokens=4096).text


def test_lengths_that_were_not_measured_are_said_to_be_so() -> None:
    page = read({**QUALITY, "tokens": {}, "token_histogram": {"edges": [], "counts": []}})
    assert "Not measured" in page.text
    assert [svg for svg in page.named("svg") if svg.get("role") == "img"] == []


def test_languages_splits_and_augmentation_are_counted() -> None:
    page = read(QUALITY)
    assert page.row("Chinese zh")[-2:] == ["431", "38.8 %"]
    train = page.row("train")
    assert train[1:6] == ["778", "70.0 %", "152", "83", "256"]
    assert train[6].startswith("English 59.3 %, Chinese 38.3 %")
    assert page.row("control")[1:] == ["0", "0.0 %", "0", "–", "–", "–"]
    assert page.row("paraphrases")[1:] == ["60", "41", "68.3 %"]
    assert "90 questions for the endpoint, 1 of them failed" in page.text
    assert "Augmentation" not in read({**QUALITY, "augmentation": None}).headings


def test_personal_data_says_what_was_done_about_each_type() -> None:
    page = read(QUALITY, samples())
    assert page.row("e-mail address")[1:] == ["12", "9", "redacted: replaced by a placeholder"]
    assert page.row("Chinese resident id")[1:] == ["2", "2", "dropped: its records were rejected"]
    assert page.row("IP address")[1:] == ["1", "1", "reported only: left where it stands"]
    assert page.marked.count("[EMAIL]") == 2, "in the sample around it, and in the conversation"
    assert "Sensitive words stood in 2 records by the list en." in page.text
    assert "No sensitive words were found." in read({**QUALITY, "sensitive_words": {"en": 0}}).text


def test_what_was_mended_is_shown_with_the_change_and_hidden_characters() -> None:
    page = read(QUALITY, samples())
    assert page.row("encoding")[-1] == "6"
    assert ["encoding", "itâ€™s due", "it’s due"] in page.rows
    assert {"â€™", "’"} <= set(page.marked)
    assert "overU+200BtimeU+202E" in page.text
    assert "\u202e" not in page.html


def test_clusters_stand_side_by_side_with_their_differences() -> None:
    page = read(QUALITY)
    assert "7 records · kept conversations.jsonl:12" in page.text
    assert "questions.csv:350 · word for word" in page.text
    assert "and 3 more" in page.text
    assert {"the", "在"} <= set(page.marked)


def test_contamination_names_each_benchmark() -> None:
    page = read(QUALITY)
    assert page.row("lawbench.jsonl")[1:] == ["500", "2", "3"]
    assert "4 duplicates would have stood in another split" in page.text
    without = read({**QUALITY, "contamination": {"between_splits": 0, "benchmarks": []}})
    assert "No benchmarks were named" in without.text


def test_kept_conversations_are_shown_with_calls_and_reasoning() -> None:
    page = read(QUALITY, samples())
    for words in (
        "A sum, so: the tool.",
        'severance({"years": 5})',
        '{"months": 5}',
        "context only",
        "may call severance",
    ):
        assert words in page.text
    assert "augmented: by paraphrase of 0a1b" in page.text
    assert any(attributes.get("lang") == "ar" for _, attributes in page.tags)
    texts = [a for name, a in page.tags if "text" in str(a.get("class")).split() and name == "div"]
    assert len(texts) >= 10
    assert [a for a in texts if a.get("dir") != "auto" and "call" not in str(a["class"])] == []


def test_a_long_conversation_and_a_long_text_are_cut_and_say_so() -> None:
    turns = [(role, f"{role} {n}") for n in range(50) for role in ("user", "assistant")]
    page = read(QUALITY, Samples(kept=[chat(*turns), chat(("user", "字" * 5000), ("assistant", "ok"))]))
    assert "and 92 more turns" in page.text
    assert "assistant 4" not in page.text
    assert "字" * 600 + "… 5,000 characters" in page.text
    assert "字" * 601 not in page.text


def test_rejected_records_stand_as_they_were_with_their_place() -> None:
    page = read(QUALITY, samples())
    assert "b.csv:9 · like a.jsonl:3" in page.text
    assert '{"q": "多久", "a": ""}' in page.text
    assert '{"q": "Is it <b>' in page.text


def test_markup_in_data_stays_text_wherever_it_stands() -> None:
    turn = {"role": HOSTILE, "content": HOSTILE, "reasoning_content": HOSTILE, "name": HOSTILE}
    turn["tool_calls"] = [{"function": {"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}}]
    meta = {"id": HOSTILE, "source": HOSTILE, "group": HOSTILE, "language": HOSTILE, "augmented": {"by": HOSTILE}}
    kept = {"messages": [turn], "tools": [{"function": {"name": HOSTILE}}], "meta": meta, "split": HOSTILE}
    rejection = {"source": HOSTILE, "line": 1, "of": HOSTILE, "record": {HOSTILE: [HOSTILE]}}
    cluster = {"kept": HOSTILE, "text": HOSTILE, "members": 2, "examples": [{"source": HOSTILE, "text": HOSTILE + "!"}]}
    everywhere = Samples([kept], {HOSTILE: [rejection]}, [(HOSTILE, HOSTILE, HOSTILE + "!")], [(HOSTILE, HOSTILE)])
    quality = {
        **QUALITY,
        "rejected": {HOSTILE: 1},
        "files": [
            {**QUALITY["files"][0], "source": HOSTILE, "encoding": HOSTILE, "license": HOSTILE, "split": HOSTILE}
        ],
        "languages": {HOSTILE: 1},
        "duplicates": {**QUALITY["duplicates"], "largest": [cluster]},
        "contamination": {
            "between_splits": 0,
            "benchmarks": [{"source": HOSTILE, "records": 1, "unreadable": 0, "matched": 0}],
        },
        "gate": {"passed": False, "rules": [{"rule": HOSTILE, "passed": False, "says": HOSTILE}]},
    }
    page = read(quality, everywhere)
    assert {"script", "img"} & {name for name, _ in page.tags} == set()
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []
    assert page.text.count(HOSTILE) > 25


def test_nothing_is_loaded_from_anywhere_and_every_link_has_its_place() -> None:
    page = read(QUALITY, samples())
    links = [value or "" for _, a in page.tags for name, value in a.items() if name in ("href", "src", "xlink:href")]
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert links
    assert [link for link in links if link[:1] != "#" or link[1:] not in places] == []
    assert {"script", "link", "iframe", "object", "base"} & {name for name, _ in page.tags} == set()
    assert not re.search(r"https?://|@import|url\(", page.html)


def test_a_screen_reader_finds_its_way() -> None:
    page = read(QUALITY, samples())
    assert page.named("html") == [{"lang": "en"}]
    assert [th for th in page.named("th") if th.get("scope") not in ("col", "row")] == []
    assert [svg for svg in page.named("svg") if not (svg.get("aria-hidden") or svg.get("aria-label"))] == []
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a} <= places
    assert page.html.startswith("<!doctype html>")


@pytest.mark.parametrize("quality", [{}, {"read": 0, "kept": 0, "augmentation": None, "splits": {}, "tokens": {}}])
def test_next_to_nothing_is_a_whole_page(quality: dict[str, Any]) -> None:
    page = read(quality, max_tokens=None)
    assert page.headings[0] == "No records were read"
    for words in ("No limits set", "No files were read.", "Not measured", "Nothing was kept.", "Nothing was rejected."):
        assert words in page.text


def test_zero_counts_divide_nothing() -> None:
    empty_split = {"records": 0, "groups": 0, "languages": {}, "tokens": {}}
    files = [{**QUALITY["files"][0], "read": 0, "kept": 0}]
    steps = [{"step": step["step"], "records": 0} for step in QUALITY["steps"]]
    page = read({**QUALITY, "read": 0, "kept": 0, "files": files, "steps": steps, "splits": {"train": empty_split}})
    assert page.row("conversations.jsonl")[-1] == "–"
    assert "nan" not in page.text.lower().split()


def test_broken_characters_do_not_break_the_page() -> None:
    record = {"source": "\udcff.jsonl", "line": 1, "record": {"q": "\ud800 and \x00 and \x1b"}}
    page = render_report(QUALITY, Samples([chat(("user", "a\x00b\udfff"))], {"not_utf8": [record]}))
    assert "a\ufffdb\ufffd" in page
    assert "\x00" not in page
    page.encode("utf-8")


def test_the_same_figures_give_the_same_page_in_whatever_order_they_come() -> None:
    resorted = json.loads(json.dumps(QUALITY, sort_keys=True))
    assert render_report(resorted, samples(), 256) == render_report(QUALITY, samples(), 256)
