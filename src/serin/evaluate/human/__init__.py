"""People compare two answers. One rule: a sheet does not tell whose they are, and its key stays here."""
