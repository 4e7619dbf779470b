"""What the command line tells of an evaluation."""

from serin.core.verdict import Verdict
from serin.evaluate.report.summary import summary

GAIN = {"gain": 0.7, "ci_low": 0.6, "ci_high": 0.8}
METRICS = {
    "confidence": 0.95,
    "means": {
        "candidate": {"test": {"token_f1": {"all": 0.9, "language=zh": 0.95}}},
        "base": {"test": {"token_f1": {"all": 0.2, "language=zh": 0.25}}},
    },
    "gains": {
        "base": {
            "test": {"token_f1": {"all": GAIN, "language=zh": GAIN, "topic=pay": GAIN}},
            "general": {"token_f1": {"all": GAIN}},
        }
    },
}
RULE = {"rule": "token_f1 gain over base in all", "side": "above", "limit": 0.65}
VERDICT = {
    "digest": "3f9a",
    "passed": False,
    "rules": [
        {**RULE, "found": 0.6, "passed": False, "missed_by": 0.05},
        {**RULE, "found": 0.7, "passed": True, "missed_by": None},
        {**RULE, "found": None, "passed": False, "missed_by": None},
    ],
    "skipped": ["token_f1 over production: none is pinned"],
}


def test_gains_on_test_questions_stand_above_the_verdict_and_its_rules() -> None:
    lines = list(summary(METRICS, Verdict.model_validate(VERDICT), "law-qa@3f9a"))
    assert lines[0].split() == ["base", "candidate", "gain", "95%", "interval"]
    assert lines[1].split() == ["token_f1", "0.200", "0.900", "+0.700", "[+0.600,", "+0.800]"]
    assert lines[2].split()[:2] == ["token_f1", "zh"]
    assert lines[3:] == [
        "verdict on law-qa@3f9a: not passed",
        "  no   token_f1 gain over base in all: 0.600, and has to be above 0.650, missed by 0.050",
        "  yes  token_f1 gain over base in all: 0.700, and has to be above 0.650",
        "  no   token_f1 gain over base in all: was not measured, and has to be above 0.650",
        "  --   token_f1 over production: none is pinned",
    ]
