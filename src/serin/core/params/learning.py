"""Sections about the trained model: ``merge``, ``evaluate`` and ``publish``."""

from typing import Literal

from pydantic import Field, model_validator

from serin.core.params.section import Section


class MergeParams(Section):
    """Stage ``merge``: base + adapter in one set of weights."""

    name: str = Field(default="law-qa", pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    """The revision's name; its digest comes from the content."""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """Number format of the merged weights; the sum itself is made in float32 and rounded once."""


class EvaluateParams(Section):
    """Stage ``evaluate``: base against tuned on the same held-out questions, and the gate over the figures."""

    max_new_tokens: int = Field(default=96, ge=1)
    """Longest answer; one that reaches it has not stopped by itself."""
    batch_size: int = Field(default=32, ge=1)
    """Questions generated at once."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of every interval."""
    resamples: int = Field(default=4000, ge=200)
    """Bootstrap resamples."""
    seed: int = Field(default=5, ge=0)
    """Seeds the bootstrap."""
    min_token_f1_gain: float = Field(default=0.0, ge=-1, le=1)
    """Gate: the lower bound of the paired token-F1 gain over the base must be above this, in every language."""
    min_right_article_gain: float | None = Field(default=None, ge=-1, le=1)
    """Gate: likewise for the share of answers that cite the right article; null where answers cite none."""
    article_pattern: str | None = r"Article (\d+)|第([一二三四五六七八九十百零]+)条"
    """What counts as the cited article in an answer (first group that matches); null if answers cite nothing."""

    @model_validator(mode="after")
    def _judges_articles_only_where_they_are_found(self) -> "EvaluateParams":
        if self.min_right_article_gain is not None and self.article_pattern is None:
            raise ValueError("min_right_article_gain needs an article_pattern: set one, or set it to null")
        return self


class PublishParams(Section):
    """Stage ``publish``: make a merged model visible to serving."""

    override: str | None = Field(default=None, min_length=10)
    """Publish without a passing verdict, for this reason; the manifest keeps it."""
