"""RFC 3339 in UTC, to the second, as Kubernetes writes times."""

from datetime import UTC, datetime


def written(time: datetime) -> str:
    """As Kubernetes has it: ``2026-01-31T12:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: object) -> datetime | None:
    """What stands in an object; None where nothing or no time does."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def seconds_between(start: str | None, end: str | None) -> float:
    """How long it took; 0 where either is not known or the clock ran backwards."""
    began, ended = read(start), read(end)
    return max(0.0, (ended - began).total_seconds()) if began and ended else 0.0
