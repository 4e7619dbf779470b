"""What a run will take, before it runs. One rule: nothing is downloaded or loaded, unless it is calibrated."""
