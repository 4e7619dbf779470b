"""Causal language models for the stages: load, render, generate, score.

One rule: the tokenizer's own template, everywhere.
"""
