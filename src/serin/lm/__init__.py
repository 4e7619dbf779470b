"""Causal language models for the stages: load, render, generate, score.

One rule: the tokenizer's own template, everywhere.
"""

import logging

# On a CPU bitsandbytes warns, when something imports it, that it could not fetch an inference kernel from a hub; Serin never
# uses that kernel.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
