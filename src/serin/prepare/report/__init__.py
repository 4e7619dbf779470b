"""The page and the data card. One rule: they show what ``quality.json`` holds, and decide nothing."""
