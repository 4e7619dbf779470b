"""One stage in a pod: inputs by hash, the stage as a process, its log and output into storage.

One rule: the result comes last.
"""
