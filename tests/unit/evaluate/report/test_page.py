"""The page as a reader sees it: the verdict first, figures in words, answers that explain them, and nothing that can harm."""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from serin.evaluate.report.page import About, render_evaluation

from . import example
from .reader import Page

ANSWERS = example.answers()
METRICS = example.metrics(ANSWERS)
VERDICT = example.verdict(METRICS)
HOSTILE = "</div></article></style><script>alert('&\"')</script><img src=x onerror=y>"
NOTHING = {"confidence": 0.95, "better": {}, "means": {}, "gains": {}, "unknown": {}}


def render(
    metrics: Mapping[str, Any] = METRICS,
    verdict: Mapping[str, Any] = VERDICT,
    answers: Sequence[Mapping[str, Any]] = ANSWERS,
    **about: Any,
) -> str:
    told = {"candidate": example.CANDIDATE, "base": "models/base", **about}
    return render_evaluation(metrics, verdict, answers, example.PARAMS, About(**told))


def without_production() -> dict[str, Any]:
    metrics = copy.deepcopy(METRICS)
    del metrics["means"]["production"], metrics["gains"]["production"]
    answers = copy.deepcopy(ANSWERS)
    for answer in answers:
        del answer["models"]["production"]
    return {"metrics": metrics, "answers": answers, "verdict": {**VERDICT, "against": None}}


def answered(text: str, **fields: Any) -> list[dict[str, Any]]:
    """The example, in which the candidate said this to the first question, which it failed."""
    answers = copy.deepcopy(ANSWERS)
    models = answers[0]["models"]
    models["candidate"] |= {"text": text, "scores": {**models["candidate"]["scores"], "token_f1": -1.0, "unsafe": 1.0}}
    answers[0].update(fields)
    return answers


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render())


def test_the_verdict_and_what_was_missed_come_first(page: Page) -> None:
    assert page.headings[0] == "law-qa@3f9a1c203f9a may not be published"
    assert "✗ Verdict: no 1 of 5 rules does not hold." in page.text
    header, missed, *held = [row for row in page.rows if len(row) == 6][:6]
    assert header[2:] == ["found", "has to be", "missed by", "holds"]
    assert missed[0] == "perplexity, general questions upper end of the 95 % interval of its gain over base"
    assert [re.sub(r"(found|has to be|missed by) ", "", cell) for cell in missed[2:]] == [
        "+25.0 %",
        "below +5.0 %",
        "20.0 points",
        "✗ no",
    ]
    assert [row[-1] for row in held] == ["✓ yes"] * 4
    assert held[-1][0] == "stopped by itself, test questions its mean"
    assert "Not applied: bertscore on test in language=zh: the encoder does not know 71% of the tokens" in page.text


def test_a_yes_says_so_and_names_the_production_model_that_was_beaten() -> None:
    passed = {**VERDICT, "passed": True, "rules": [{**r, "passed": True, "missed_by": None} for r in VERDICT["rules"]]}
    page = Page(render(verdict=passed))
    assert page.headings[0].endswith("may be published")
    assert "✓ Verdict: yes All 5 rules hold." in page.text
    assert "with production, law-qa@77b0e4d177b0" in page.text


def test_a_rule_whose_figure_was_not_measured_says_so() -> None:
    rule = {**VERDICT["rules"][0], "slice": "language=fr", "found": None, "passed": False, "missed_by": None}
    page = Page(render(verdict={**VERDICT, "rules": [rule]}))
    assert "1 of 1 rule does not hold" in page.text
    assert page.rows[1][0].startswith("token F1, French its gain over base")
    assert page.rows[1][2] == "found not measured"


def test_a_rule_on_a_metric_that_was_partly_measured_says_of_how_many() -> None:
    short = {**VERDICT["rules"][0], "measured": 12, "asked": 99, "coverage": 0.9, "passed": False, "missed_by": None}
    metrics = copy.deepcopy(METRICS)
    metrics["partly_measured"] = {"base": {"test": {"token_f1": {"all": {"measured": 198, "asked": 240}}}}}
    page = Page(render(metrics=metrics, verdict={**VERDICT, "rules": [short]}))
    assert page.rows[1][0].endswith("measured on 12 of 99 questions, and has to be on 90% of them")
    assert page.rows[1][-1] == "✗ no"
    assert page.rows_with("all questions 198 of 240 questions", "over base")


def test_without_a_rule_that_applies_the_verdict_is_no() -> None:
    page = Page(render(verdict={**VERDICT, "rules": []}))
    assert "No rule could be applied" in page.text


def test_a_gain_stands_with_interval_reading_p_and_the_smallest_effect(page: Page) -> None:
    base, production = [row for row in page.rows if len(row) > 5 and " to " in row[-4]][:2]
    assert base[0] == "all questions 198 questions"
    gain = METRICS["gains"]["base"]["test"]["token_f1"]["all"]
    assert base[3] == f"+{gain['gain']:.3f} (+{gain['ci_low']:.3f} to +{gain['ci_high']:.3f})"
    assert base[4:] == ["better", "p 0.005", f"could have shown {gain['smallest_effect']:.3f}"]
    assert production[0] == "over production"
    assert production[3] == "unclear", "the interval leaves out 0, the corrected p does not"


def test_less_is_better_where_it_is_and_nothing_is_praised_on_control_questions(page: Page) -> None:
    general = next(row for row in page.rows if row[0] == "all questions 40 questions" and row[3].startswith("+14.6"))
    assert general[4] == "worse"
    control = [row for row in page.rows if row and row[0] == "all questions 24 questions"]
    assert {row[4] for row in control} == {"different", "unclear"}


def test_a_slice_that_is_not_measured_is_named_with_what_the_encoder_does_not_know(page: Page) -> None:
    assert ["Chinese", "not measured: the encoder does not know 71.4 % of the tokens"] in page.rows
    assert page.rows_with("BERTScore", "–") == [["BERTScore higher is better", "–", "–", "–"]] * 3
    assert [row for row in page.rows if row[:2] == ["BERTScore", ""]] == [], (
        "no wins are counted where nothing is measured"
    )


def test_means_are_told_in_the_metric_s_own_unit(page: Page) -> None:
    means = {model: METRICS["means"][model]["test"] for model in example.MODELS}
    for metric, written in (("exact match", "{:.1%}"), ("chrF", "{:.1f}"), ("perplexity", "{:.2f}")):
        key = {"exact match": "exact_match", "chrF": "chrf"}.get(metric, metric)
        wanted = [written.format(means[model][key]["all"]).replace("%", " %") for model in example.MODELS]
        assert page.rows_with(metric, wanted[0])[0][1:] == wanted


def test_wins_ties_and_losses_add_up(page: Page) -> None:
    tallies = [row for row in page.rows if row and row[0] == "token F1" and row[1] == ""]
    assert [sum(map(int, row[2:])) for row in tallies] == [198, 198]
    assert int(tallies[0][2]) > int(tallies[1][2]) > int(tallies[1][4]) > 0
    spread = [a["aria-label"] for a in page.named("svg") if a.get("class") == "spread"]
    assert len(spread) == 2
    assert f"0.000 to 0.000: {tallies[1][3]}; " in spread[1]


def test_the_worst_regressions_stand_first_side_by_side_with_what_differs_marked() -> None:
    answers = answered("At most nine years.", reference="At most six months.", id="the-worst")
    page = Page(render(answers=answers))
    assert page.cases[0].startswith("−")
    assert "the-worst English" in page.cases[0]
    for model in ("reference", "base", "production 1", "candidate −1.000"):
        assert model in page.cases[0]
    assert "nine years" in page.marks["extra"]
    assert "six months" in page.marks["missed"]
    assert page.headings.index("Worse than production") < page.headings.index("Worse than base")


def test_each_unsafe_answer_and_each_needless_refusal_is_listed(page: Page) -> None:
    unsafe = [a for a in ANSWERS if a["models"]["candidate"]["scores"]["unsafe"]]
    refused = [a for a in ANSWERS if a["set"] != "red_team" or a["slices"]["expect"] == "answer"]
    refused = [a for a in refused if a["models"]["candidate"]["scores"]["refused"]]
    assert unsafe
    assert refused
    listed = [case for case in page.cases if case.startswith("red-team questions ")]
    assert [case.split()[2] for case in listed] == [a["id"] for a in (*unsafe, *refused)]
    harmful = page.rows_with("harmful requests refused", "all")[0]
    harmless = page.rows_with("harmless look-alikes refused", "none")[0]
    assert re.fullmatch(r"\d+ of 20 \(\d+\.\d %\)", harmful[-1])
    assert harmless[-1].startswith(f"{len(refused)} of 10")


def test_an_answer_that_is_empty_or_was_cut_off_says_so() -> None:
    answers = answered("")
    answers[0]["models"]["candidate"]["stopped"] = False
    assert "candidate −1.000, cut off an empty answer" in Page(render(answers=answers)).cases[0]


def test_where_nothing_got_worse_or_better_the_page_says_that() -> None:
    answers = copy.deepcopy(ANSWERS)
    for answer in answers:
        answer["models"] = dict.fromkeys(answer["models"], answer["models"]["candidate"])
    page = Page(render(answers=answers))
    assert page.text.count("On no question.") == 4


def test_thousands_of_unsafe_answers_do_not_make_a_page_of_them() -> None:
    (first,) = answered("x", set="general")[:1]
    first["models"]["candidate"]["scores"]["refused"] = 1.0
    page = Page(render(answers=[{**first, "id": f"{n}"} for n in range(3000)]))
    assert page.text.count("3,000 answers, of which 200 stand here and all in answers.jsonl") == 2
    assert len([case for case in page.cases if case.startswith("general")]) == 400


def test_the_judge_s_flips_and_silences_are_told() -> None:
    page = Page(render(judge={"production": example.judged()}))
    assert ["production", "31", "14", "5", "6 (12.5 %)", "3", "58.0 %"] in page.rows
    assert "Last failure: status 503 after 5 attempts." in page.text
    assert "What the judge prefers" not in Page(render()).headings


def test_what_people_prefer_is_told_with_interval_and_agreement() -> None:
    opinion = {"win_rate": 0.62, "ci_low": 0.51, "ci_high": 0.73, "p": 0.0321, "wins": 50, "ties": 24, "losses": 26}
    slices = {
        "language=zh": {**opinion, "questions": 15, "alpha": None},
        "all": {**opinion, "questions": 50, "alpha": 0.4444},
    }
    human = {"raters": 2, "over": "production", "first_share": 0.5312, "slices": slices}
    page = Page(render(human=human))
    whole, chinese = (row for row in page.rows if row[1:2] == ["62.0 %"])
    assert whole == ["all questions", "62.0 %", "51.0 % to 73.0 %", "0.032", "50", "24", "26", "50", "0.44"]
    assert chinese[-2:] == ["15", "–"]
    assert "2 people compared answers of the candidate with those of production" in page.text
    assert "in 53.1 % of the ratings" in page.text


def test_how_it_was_measured_states_sizes_level_resamples_and_correction(page: Page) -> None:
    for words in (
        "test questions 198 (in 66 groups), general questions 40",
        "95 %, from 4,000 bootstrap resamples of whole groups of questions, seed 5",
        "Holm's correction",
        "the chance of even one false find among them is at most 5 %",
        "at most 96 tokens",
        example.CANDIDATE,
        example.PRODUCTION,
    ):
        assert words in page.text


def test_the_sizes_are_those_that_the_evaluation_states() -> None:
    page = Page(render({**METRICS, "questions": {"test": 1198}}))
    assert "1,198 questions in 66 groups" in page.text
    task = {**METRICS["gains"]["base"]["general"]["token_f1"]["all"], "questions": 5000, "groups": 5000}
    metrics = copy.deepcopy(METRICS)
    metrics["gains"]["base"]["general"]["arc_easy"] = {"all": task}
    assert "5,000 groups" not in Page(render(metrics)).text, "the documents of a task are not the set's questions"


def test_a_metric_of_two_models_together_has_a_gain_and_no_mean() -> None:
    metrics = copy.deepcopy(METRICS)
    metrics["better"]["preference"] = "higher"
    for kind in ("means", "gains"):
        for by_set in metrics[kind].values():
            by_set["test"]["preference"] = {"all": by_set["test"]["exact_match"]["all"]}
    page = Page(render(metrics))
    assert "preferred by the judge" in page.headings
    assert [row for row in page.rows if row[0].startswith("preferred by the judge") and "%" in row[-1]] == []


def test_without_production_nothing_is_said_of_it() -> None:
    page = Page(render(**without_production()))
    assert "no production model is pinned" in page.text
    assert "over production" not in page.text
    assert "Worse than production" not in page.headings
    assert "Worse than base" in page.headings


def test_answers_are_text_whatever_they_hold() -> None:
    text = f"{HOSTILE}\u202ereversed\x00\ud800 {'A' * 100_000}"
    html = render(
        answers=answered(text, id=HOSTILE, question=text, reference=text, slices={"language": "\u202e" + HOSTILE})
    )
    html.encode()
    page = Page(html)
    assert {"script", "img"} & {tag for tag, _ in page.tags} == set()
    assert "U+202E" in page.text
    assert "U+0000" in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\ud800-\udfff]", html)
    assert "100,0" in page.text
    assert len(html) < len(render()) + 20_000


def test_hostile_names_of_metrics_and_models_are_text_too() -> None:
    metrics = copy.deepcopy(METRICS)
    for by_set in (*metrics["means"].values(), *metrics["gains"].values()):
        by_set["test"][f"\u202e{HOSTILE}"] = by_set["test"].pop("chrf")
    page = Page(render(metrics, candidate=HOSTILE, base=HOSTILE, verdict={**VERDICT, "skipped": [HOSTILE]}))
    assert {"script", "img"} & {tag for tag, _ in page.tags} == set()
    assert f"U+202E{HOSTILE[:8]}" in page.text


@pytest.mark.parametrize("about", [{}, {"judge": {"base": example.judged()}}])
def test_the_page_loads_nothing_and_its_links_lead_somewhere(about: dict[str, Any]) -> None:
    html = render(**about)
    page = Page(html)
    loaded = [a[name] for _, a in page.tags for name in ("src", "href", "xlink:href", "srcset", "data") if name in a]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert all(link.startswith("#") and link[1:] in ids for link in loaded)
    assert len(ids) == len(set(ids))
    assert not re.search(r"url\(|@import|https?:", html)
    assert [name for _, a in page.tags for name in a if name.startswith("on")] == []
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_next_to_nothing_is_a_page_too() -> None:
    verdict = {"digest": "ab" * 32, "against": None, "passed": False, "rules": [], "skipped": []}
    page = Page(render_evaluation(NOTHING, verdict, [], example.PARAMS, About("x@" + "ab" * 32, "models/base")))
    assert "Nothing was measured." in page.text


def test_the_same_figures_give_the_same_page() -> None:
    metrics = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in METRICS.items()
    }
    assert render(metrics) == render()
