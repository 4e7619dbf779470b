"""text-dedup's MinHash over texts whose words are the shingles, up to the clusters of which one record each would stay.

python text_dedup_minhash.py SETTINGS.json, which runs in the peers' environment.
"""

import json
import logging
import re
import sys
from pathlib import Path

from text_dedup import logger, minhash
from text_dedup.utils import IOArgs, MetaArgs, MinHashArgs

_COUNTED = ("Loading", "MinHashing", "Clustering")


class Phases(logging.Handler):
    """Keeps the seconds that text-dedup logs for each of its phases."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one line of the log."""
        if found := re.match(r"(\w+)\s*: ([0-9.]+)s", record.getMessage()):
            self.seconds[found[1]] = float(found[2])


def main() -> None:
    """Run it and write seconds, and each record's cluster and whether it goes."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    scratch = Path(settings["scratch"])
    phases = Phases()
    logger.addHandler(phases)
    minhash.main.callback(
        io_args=IOArgs(
            path=settings["dataset"],
            output=str(scratch / "kept"),
            local=True,
            cache_dir=str(scratch / "cache"),
            num_proc=settings["workers"],
        ),
        meta_args=MetaArgs(column="words"),
        minhash_args=MinHashArgs(
            ngram=1,
            min_length=1,
            num_perm=settings["bands"] * settings["rows"],
            b=settings["bands"],
            r=settings["rows"],
            hash_func="xxh3",
        ),
    )
    cluster = [minhash.uf.find(number) for number in range(settings["records"])]
    removed = [root != number for number, root in enumerate(cluster)]
    seconds = sum(phases.seconds[name] for name in _COUNTED)
    Path(settings["result"]).write_text(json.dumps({"seconds": seconds, "cluster": cluster, "removed": removed}))


if __name__ == "__main__":
    main()
