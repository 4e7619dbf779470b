"""Serin: from a file of question-answer data to a fine-tuned model in production, proved better on the way."""

from importlib.metadata import version

__version__ = version("serin")
