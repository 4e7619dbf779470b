"""The list of faults that ``make mutants`` puts back has to keep up with the sources."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("mutants", ROOT / "scripts/mutants.py")
assert spec is not None
assert spec.loader is not None
mutants = importlib.util.module_from_spec(spec)
sys.modules["mutants"] = mutants
spec.loader.exec_module(mutants)


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.fault)
def test_the_place_of_each_fault_is_there_once_and_so_is_its_test(mutant: object) -> None:
    source = (ROOT / "src/serin" / mutant.file).read_text()  # type: ignore[attr-defined]  # loaded by path
    assert source.count(mutant.old) == 1  # type: ignore[attr-defined]  # loaded by path
    path, _, name = mutant.test.partition("::")  # type: ignore[attr-defined]  # loaded by path
    assert (ROOT / path).exists()
    assert not name or f"def {name}(" in (ROOT / path).read_text()
