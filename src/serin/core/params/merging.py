"""Sections about the merged model: ``merge``, ``quantise`` and ``publish``."""

from typing import Literal

from pydantic import Field

from serin.core.params.section import Section


class MergeParams(Section):
    """Stage ``merge``: base + adapter in one set of weights."""

    name: str = Field(default="law-qa", pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    """The revision's name; its digest comes from the content."""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """Number format of the merged weights; the sum itself is made in float32 and rounded once."""
    base: Literal["full", "dequantised", "auto"] = "auto"
    """What the adapter is added to: the base's own weights, or those that ``qlora`` trained against, which went through NF4.

    ``auto`` scores both, and the adapter on NF4, by the log-likelihood of the validation split's answers, and keeps the better
    one. Where the adapter was not trained on NF4 it is ``full``.
    """


class QuantiseParams(Section):
    """``serin quantise``: a merged model in fewer bits, as a candidate with a digest of its own."""

    calibration_records: int = Field(default=256, ge=1, le=100_000)
    """Conversations of the train split whose activations are looked at."""
    max_tokens: int = Field(default=2048, ge=16)
    """Longest of these, in tokens; what is longer is cut."""
    seed: int = Field(default=11, ge=0)
    """Which of them are taken."""


class PublishParams(Section):
    """Stage ``publish``: make a merged model visible to serving."""

    override: str | None = Field(default=None, min_length=10)
    """Publish without a passing verdict, for this reason; the manifest keeps it."""
    license: str | None = None
    """Of the model, for its card; null: the card says that nobody stated one, and names the base's."""
