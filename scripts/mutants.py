"""Puts known faults of fine-tuning tools back into a copy of the sources, one at a time, and shows the test that fails.

.venv/bin/python scripts/mutants.py [NAME ...]      (or `make mutants`)

Each fault is one that users of such tools have reported again and again. A mutant lives where its test passes on it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Mutant:
    """``new`` takes the place of ``old``, which stands once in ``file``; ``test`` has to notice."""

    fault: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        "the merge loses what was learnt: the adapter's scale is left out",
        "merge/arithmetic.py",
        "return delta.mul_(self.scale).add_(weight.rows(start, stop).float())",
        "return delta.add_(weight.rows(start, stop).float())",
        "tests/unit/merge/test_arithmetic.py",
    ),
    Mutant(
        "the merge says that it succeeded and some weights are the base's",
        "merge/placement.py",
        "raise names.absent(name)",
        "continue",
        "tests/unit/merge/test_placement.py",
    ),
    Mutant(
        "phrasings of one fact count as independent, and intervals are too narrow",
        "evaluate/compare/comparison.py",
        "_, member = np.unique(np.asarray(pairs.groups), return_inverse=True)",
        "member = np.arange(len(pairs.groups))",
        "tests/unit/evaluate/compare/test_comparison.py",
    ),
    Mutant(
        "a rule that finds nothing to look at lets the candidate pass",
        "core/verdict.py",
        """        if found is None:
            return rule
""",
        """        if found is None:
            return rule.model_copy(update={"passed": True})
""",
        "tests/unit/evaluate/compare/test_gate.py",
    ),
    Mutant(
        "training sees another prompt than a server renders: without the words that open the answer",
        "lm/chat.py",
        "given = template.text(messages[:i], add_generation_prompt=True)",
        "given = template.text(messages[:i], add_generation_prompt=False)",
        "tests/unit/lm/test_chat.py",
    ),
    Mutant(
        "an earlier turn is trained on as a server will never show it",
        "lm/chat.py",
        "if all(whole[: len(turn.tokens)] == turn.tokens for turn in turns):",
        "if True:",
        "tests/unit/lm/test_chat.py",
    ),
    Mutant(
        "long conversations are cut without a word",
        "train/data/examples.py",
        'if long and params.over_long == "raise":',
        "if False:",
        "tests/unit/train/data/test_examples.py",
    ),
    Mutant(
        "the model never stops: the end-of-turn token is outside the loss",
        "lm/chat.py",
        "return _Turn(i + 1, len(prompt), tokens[:end])",
        "return _Turn(i + 1, len(prompt), tokens[: end - 1])",
        "tests/unit/lm/test_chat.py",
    ),
    Mutant(
        "the model never stops: a pad token that ends turns is let through",
        "lm/chat.py",
        "if pad is not None and (",
        "if pad is None and (",
        "tests/unit/lm/test_chat.py",
    ),
    Mutant(
        "the loss depends on accumulation: each micro-batch is a mean of its own",
        "train/loop/step.py",
        "(nll / trained_tokens).backward()",
        "(nll / batch.targets.numel()).backward()",
        "tests/unit/train/loop/test_step.py",
    ),
    Mutant(
        "a resumed run sees the data in another order: every epoch is the first",
        "train/data/order.py",
        "np.random.default_rng([seed, epoch])",
        "np.random.default_rng([seed, 0])",
        "tests/unit/train/data/test_order.py",
    ),
    Mutant(
        "a resumed run forgets the optimizer's moments",
        "train/loop/loop.py",
        "if state.moments:",
        "if not state.moments:",
        "tests/integration/test_resume.py::test_killed_anywhere_and_run_again_it_ends_with_the_same_bytes",
    ),
    Mutant(
        "a resumed run draws other dropout",
        "train/loop/loop.py",
        "seed_step(self.params.seed, self.step, self.processes.rank)",
        "seed_step(self.params.seed, self.step - self.start_step, self.processes.rank)",
        "tests/integration/test_resume.py::test_killed_anywhere_and_run_again_it_ends_with_the_same_bytes",
    ),
    Mutant(
        "masks are cut wrongly: the loss is on what the user said too",
        "lm/chat.py",
        "labels[turn.start : len(turn.tokens)] = turn.tokens[turn.start :]",
        "labels[: len(turn.tokens)] = turn.tokens",
        "tests/unit/lm/test_chat.py",
    ),
    Mutant(
        "packed examples see each other: positions do not restart",
        "lm/packing.py",
        "positions += range(len(example.input_ids))",
        "positions += range(len(positions), len(positions) + len(example.input_ids))",
        "tests/unit/lm/test_packing.py",
    ),
    Mutant(
        "packing shifts the loss: the first token of an example is learnt from the one before",
        "lm/packing.py",
        "columns.append(start + i)",
        "columns.append(start + i - 1)",
        "tests/unit/lm/test_packing.py",
    ),
    Mutant(
        "new tokens of the vocabulary begin as noise",
        "train/model/tokens.py",
        ".float().mean(dim=0)",
        ".float().std(dim=0)",
        "tests/unit/train/model/test_build.py",
    ),
    Mutant(
        "the text begins twice: the tokenizer adds what the template has",
        "lm/chat.py",
        "self.tokenizer(text, add_special_tokens=False)",
        "self.tokenizer(text, add_special_tokens=True)",
        "tests/unit/lm/test_chat.py",
    ),
    Mutant(
        "on a CPU an evaluation spoils the gradients after it: 4-bit weights are repacked",
        "lm/four_bit.py",
        "layer.support_avx512bf16_for_cpu = False",
        "layer.support_avx512bf16_for_cpu = True",
        "tests/unit/lm/test_load.py",
    ),
    Mutant(
        "a half-written checkpoint is taken for a whole one",
        "train/checkpoint/store.py",
        "manifest = read_manifest(folder, _KIND, verify=True)",
        "manifest = read_manifest(folder, _KIND)",
        "tests/unit/train/checkpoint/test_store.py",
    ),
)


def main(names: list[str]) -> int:
    """Kill each mutant; the number that live."""
    alive = 0
    for mutant in (m for m in MUTANTS if not names or any(name in m.fault for name in names)):
        with tempfile.TemporaryDirectory() as folder:
            sources = shutil.copytree(ROOT / "src", Path(folder) / "src", ignore=shutil.ignore_patterns("__pycache__"))
            path = sources / "serin" / mutant.file
            path.write_text(path.read_text().replace(mutant.old, mutant.new))
            test = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", mutant.test]
            environment = {**os.environ, "PYTHONPATH": str(sources), "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(test, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        killed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        alive += not killed
        by = (
            killed[0].removeprefix("FAILED ").split(" - ")[0]
            if killed
            else f"LIVES (pytest ended with {done.returncode})"
        )
        print(f"{mutant.fault}\n    {by}", flush=True)
    print(f"{len(MUTANTS) if not names else 'those named'}: {alive} live")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
