"""datatrove's MinHash pipeline over normalised texts, up to the records that it would remove.

python datatrove_minhash.py SETTINGS.json, which runs in the peers' environment.
"""

import json
import struct
import sys
import time
from pathlib import Path

import numpy as np
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WhitespaceTokenizer


class CharacterShingles(MinhashDedupSignature):
    """Signatures over runs of characters, whose length stands with each text, hashed by datatrove's own function."""

    def get_shingles(self, text: str) -> np.ndarray:
        """The hashes of the shingles, (n, 1)."""
        size, text = int(text[0]), text[1:]
        found = {text[i : i + size] for i in range(max(1, len(text) - size + 1))}
        return np.fromiter(map(self._hash_func, found), dtype=np.uint64, count=len(found)).reshape(-1, 1)


def main() -> None:
    """Run the three steps and write seconds, and each record's cluster and whether it goes."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    scratch, workers = Path(settings["scratch"]), settings["workers"]
    config = MinhashConfig(
        num_buckets=settings["bands"], hashes_per_bucket=settings["rows"], hash_config=HashConfig(precision=32)
    )

    def run(tasks: int, *steps: object) -> None:
        LocalPipelineExecutor(
            list(steps), tasks=tasks, workers=workers, logging_dir=str(scratch / f"logs-{time.time_ns()}")
        ).run()

    started = time.perf_counter()
    reader = JsonlReader(settings["texts"], text_key="shingled")
    signatures = CharacterShingles(str(scratch / "signatures"), config, language=WhitespaceTokenizer())
    run(workers, reader, signatures)
    run(config.num_buckets, MinhashDedupBuckets(str(scratch / "signatures"), str(scratch / "buckets"), config=config))
    run(1, MinhashDedupCluster(str(scratch / "buckets"), str(scratch / "found"), config, save_cluster_id=True))
    seconds = time.perf_counter() - started

    cluster, removed = [-1] * settings["records"], [False] * settings["records"]
    for rank in range(workers):
        for path, width in ((f"{rank:06d}.clusters", 2), (f"{rank:06d}.remove", 1)):
            found = scratch / "found" / path
            for row in struct.iter_unpack(f"<{width}I", found.read_bytes() if found.is_file() else b""):
                number = settings["firsts"][rank] + row[0]
                if width == 2:
                    cluster[number] = row[1]
                else:
                    removed[number] = True
    Path(settings["result"]).write_text(json.dumps({"seconds": seconds, "cluster": cluster, "removed": removed}))


if __name__ == "__main__":
    main()
