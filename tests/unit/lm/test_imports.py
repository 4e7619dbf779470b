"""What a stage imports before it does anything, in a process of its own."""

import json
import os
import subprocess
import sys

NEVER_USED = ("torch._inductor.compile_fx", "sklearn", "pandas", "scipy")
SCRIPT = f"""
import json, os, sys
import serin.train.stage, serin.merge.stage
from bitsandbytes.nn import Linear4bit
found = [name for name in {NEVER_USED} if name in sys.modules]
import sklearn, scipy.optimize
from transformers.utils import is_scipy_available
print(json.dumps([found, os.environ.get("TORCHDYNAMO_DISABLE"), is_scipy_available()]))
"""


def test_a_stage_starts_without_a_compiler_and_statistics_and_leaves_both_to_others() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TORCHDYNAMO_DISABLE"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], None, True]
