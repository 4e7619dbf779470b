"""What a run will take, before anything of it is loaded. One rule: no weight is read; the step is rehearsed on shapes alone."""
