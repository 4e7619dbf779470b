"""What an evaluation found, to look at. One rule: it shows figures and counts answers, and decides nothing."""
