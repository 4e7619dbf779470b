"""A merged model in fewer bits. One rule: llm-compressor runs as a process of its own, in an environment of its own.

It wants other versions of transformers and compressed-tensors than Serin and vLLM do, so nothing here imports it.
"""
