"""What is trained on, as token ids in a fixed order. One rule: nothing is cut, dropped or repeated without being counted."""
