"""One stage in a pod: inputs by hash, the stage as a process, its log and its output into storage. One rule: the result comes last."""
