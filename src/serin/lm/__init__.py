"""Causal language models for the stages: load, render, generate, score.

One rule: the tokenizer's own template, everywhere.
"""

import logging

from serin.lm.imports import import_libraries

# On a CPU bitsandbytes warns, when something imports it, that it could not fetch an inference kernel from a hub; Serin never
# uses that kernel.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

import_libraries()
