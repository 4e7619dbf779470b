"""``serin rollout report``: one page about a rollout, for people who do not read e-values. One rule: it needs no network."""

from serin.rollout.report.page import render_report

__all__ = ["render_report"]
