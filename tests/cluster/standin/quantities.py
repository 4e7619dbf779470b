"""Kubernetes' quantities: ``500m``, ``32Gi``."""

from decimal import Decimal

_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{name: Decimal(1000) ** power for power, name in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{name: Decimal(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}


def amount(quantity: str | int | float) -> Decimal:
    """A quantity as a number. Raises ValueError or KeyError for what is none."""
    text = str(quantity)
    number = text.rstrip("kKmMgGtTpPi")
    return Decimal(number) * _SUFFIXES[text[len(number) :]]
