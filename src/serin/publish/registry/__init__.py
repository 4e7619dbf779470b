"""Which revisions there are, and by which names: digests, versions and stages. One rule: doubt is said, never guessed away."""
