"""Raw files to clean, deduplicated, split conversations. One rule: every record read is kept or rejected with a reason.

``stage`` runs it all: ``raw`` reads, ``record`` judges each record by itself in several processes, ``spool`` holds on disk
what is kept, ``duplicates`` and ``mix`` decide over all of it, ``report`` shows it.
"""
