"""Base + adapter in one set of weights. One rule: arithmetic in float32, rounded once, one tensor at a time."""

import serin.lm  # noqa: F401 - before anything here imports peft: it keeps bitsandbytes from warning of a kernel
