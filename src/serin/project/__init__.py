"""A user's own project, from a look at their data. One rule: nothing is written before everything has been checked."""
