"""Where two copies of one log meet: what storage has of it, and what the pod still says. Pure.

A pod prints the bytes that it copies to storage, so either is a part of the other; but Kubernetes rotates a pod's log, which
then begins anywhere, and storage lags a few seconds behind.
"""

_ALIGNED_BY_BYTES = 4096


def after_stored(stored: bytes, pod: bytes) -> bytes | None:
    """What a pod's log has beyond what storage has.

    None where the two do not meet in ``pod``: it has been rotated beyond that point, or not been read so far.
    """
    if not stored:
        return pod
    if pod.startswith(stored):
        return pod[len(stored) :]
    end = stored[-_ALIGNED_BY_BYTES:]
    place = pod.rfind(end)
    if place >= 0:
        return pod[place + len(end) :]
    return b"" if stored.endswith(pod) or (len(pod) < len(stored) and pod in stored) else None


def after_printed(printed: bytes, stored: bytes) -> bytes:
    """What storage has beyond what was printed, both counted from the same byte on; nothing where storage is behind."""
    if stored.startswith(printed):
        return stored[len(printed) :]
    if printed.startswith(stored):
        return b""
    end = printed[-_ALIGNED_BY_BYTES:]
    # Storage has lost some of it, or the pod said something that was never copied: go on behind the last line that both have.
    lines = end.splitlines(keepends=True)
    for line in reversed(lines):
        place = stored.rfind(line) if line.endswith(b"\n") and len(line) > 1 else -1
        if place >= 0:
            return stored[place + len(line) :]
    return stored
