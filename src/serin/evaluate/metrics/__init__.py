"""Metrics of single answers. One rule: a metric sees questions with one model's answers, and gives one value for each."""
