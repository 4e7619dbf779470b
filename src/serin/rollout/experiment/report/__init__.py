"""``serin experiment report``: one page for people who do not read e-values. One rule: it needs no network."""

from serin.rollout.experiment.report.page import render_report

__all__ = ["render_report"]
