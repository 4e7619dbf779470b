"""chrF and ROUGE are the libraries' own figures, and hold for Chinese."""

import subprocess
import sys
from random import Random

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from serin.core.conversation import Conversation
from serin.evaluate.metrics.metric import Exchange
from serin.evaluate.metrics.overlap import ChrF, Rouge
from serin.lm.generate import Answer

PAIRS = [
    ("A probation period may last at most six months.", "The probation period lasts no longer than six months."),
    ("Yes.", "The employer must pay double wages for each month."),
    ("the the the cat", "the cat sat on the mat"),
    ("Six months", "Six months"),
]
TEXT = st.text(alphabet=st.sampled_from("abc AB1 .,第十条试用期"), max_size=30)
METRICS = [ChrF(), Rouge("rouge1"), Rouge("rouge2"), Rouge("rougeL")]


def exchange(answer: str, reference: str, language: str = "en") -> Exchange:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": reference}]
    question = Conversation.from_dict({"messages": turns, "meta": {"id": "1", "language": language}})
    return Exchange(question, Answer(answer, 5, stopped=True))


@pytest.mark.parametrize(("answer", "reference"), PAIRS)
def test_chrf_is_that_of_sacrebleu(answer: str, reference: str) -> None:
    theirs = sacrebleu.sentence_chrf(answer, [reference]).score / 100
    assert ChrF().value(exchange(answer, reference)) == pytest.approx(theirs)


@pytest.mark.parametrize(("answer", "reference"), PAIRS)
@pytest.mark.parametrize(("kind", "name"), [("rouge1", "rouge_1"), ("rouge2", "rouge_2"), ("rougeL", "rouge_l")])
def test_rouge_of_english_is_that_of_rouge_score(kind: str, name: str, answer: str, reference: str) -> None:
    theirs = RougeScorer([kind]).score(reference, answer)[kind].fmeasure
    metric = next(m for m in METRICS if m.name == name)
    assert metric.value(exchange(answer, reference)) == pytest.approx(theirs)


def test_rouge_of_chinese_is_that_of_its_characters_as_words() -> None:
    answer, reference = "试用期最长六个月", "试用期不得超过六个月"
    theirs = RougeScorer(["rouge2", "rougeL"]).score(
        " ".join(f"c{ord(c)}" for c in reference), " ".join(f"c{ord(c)}" for c in answer)
    )
    assert Rouge("rouge2").value(exchange(answer, reference, "zh")) == pytest.approx(theirs["rouge2"].fmeasure)
    assert Rouge("rougeL").value(exchange(answer, reference, "zh")) == pytest.approx(theirs["rougeL"].fmeasure)
    assert theirs["rougeL"].fmeasure > 0.6


@given(st.lists(st.integers(0, 5), max_size=80), st.lists(st.integers(0, 5), max_size=80))
@settings(deadline=None)
def test_rouge_l_is_that_of_rouge_score_to_the_last_bit(answer: list[int], reference: list[int]) -> None:
    said, wanted = (" ".join(f"w{n}" for n in words) for words in (answer, ["x", *reference]))
    theirs = RougeScorer(["rougeL"]).score(wanted, said)["rougeL"].fmeasure
    assert Rouge("rougeL").value(exchange(said, wanted)) == theirs


def test_the_order_of_words_matters() -> None:
    swapped = exchange("months six", "six months")
    assert Rouge("rouge1").value(swapped) == 1
    assert Rouge("rougeL").value(swapped) == pytest.approx(0.5)


def test_an_empty_answer_scores_nothing_and_a_missing_reference_says_nothing() -> None:
    for metric in METRICS:
        assert metric.score([exchange("", "six months"), exchange("six months", "")]).values == (0.0, None)


@settings(deadline=None)
@given(TEXT, TEXT, st.sampled_from(["en", "zh", "und"]))
def test_scores_are_shares_and_one_for_the_reference_itself(answer: str, reference: str, language: str) -> None:
    pair, same = exchange(answer, reference, language), exchange(reference, reference, language)
    for metric in METRICS:
        value, highest = metric.value(pair), metric.value(same)
        assert value is None or 0 <= value <= 1
        if highest is not None and not (metric.name == "rouge_2" and highest == 0):  # one word has no pairs
            assert highest == pytest.approx(1)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_questions_changes_no_value(pairs: list[tuple[str, str]], random: Random) -> None:
    asked = [exchange(answer, reference, "zh") for answer, reference in pairs]
    order = random.sample(range(len(asked)), len(asked))
    for metric in METRICS:
        straight = metric.score(asked).values
        assert metric.score([asked[i] for i in order]).values == tuple(straight[i] for i in order)


def test_a_captured_stderr_is_not_closed_when_another_library_sets_logging_up() -> None:
    """absl, which rouge-score brings, did that: it ended a run of pytest."""
    script = """
import contextlib, io, logging.config, sys
sys.stderr = captured = io.StringIO()
import serin.evaluate.metrics.overlap
with contextlib.redirect_stderr(io.StringIO()):
    logging.config.dictConfig({"version": 1})
sys.exit(captured.closed)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
