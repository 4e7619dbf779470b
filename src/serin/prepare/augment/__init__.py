"""More train records from those that are there and from documents. One rule: what is made says so in ``meta.augmented``."""

from serin.prepare.augment.generate import KINDS, Augmented, augment

__all__ = ["KINDS", "Augmented", "augment"]
