"""QLoRA on the train split. One rule: what stands in the output folder is a whole adapter."""
