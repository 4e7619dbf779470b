"""Raw files as people have them, to one record after another. One rule: nothing is held whole but a record."""
