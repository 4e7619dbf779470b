"""Causal language models for the stages: load, chat template, generation, likelihood. One rule: the tokenizer's own template, everywhere."""
