"""The peers of `near_duplicates.py`, one function each; runs in an environment that holds them and not Slipway.

Every function takes texts and returns how many documents it would remove: 5-word shingles, 128 hash values in 16
bands of 8, threshold 0.8. The CPU seconds are those of the function, threads and child processes included.
"""

import json
import os
import re
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SHINGLE, PLACES, BANDS, ROWS, THRESHOLD = 5, 128, 16, 8, 0.8
_WORD = re.compile(r"\w+")


def shingles(text: str) -> list[str]:
    """Word 5-shingles, as the peers' own examples make them."""
    words = _WORD.findall(text.lower())
    return [" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))]


def rensa(texts: list[str]) -> int:
    """One sketch per document, asked for and then put into the index."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(THRESHOLD, PLACES, BANDS)
    sketches, removed = [], 0
    for number, text in enumerate(texts):
        sketch = RMinHash(PLACES, 1)
        sketch.update(shingles(text))
        removed += any(sketch.jaccard(sketches[other]) >= THRESHOLD for other in index.query(sketch))
        index.insert(number, sketch)
        sketches.append(sketch)
    return removed


def rensa_at_once(texts: list[str]) -> int:
    """All sketches as one matrix, its fastest way; it flags every document of a pair, so it counts more."""
    from rensa import RMinHash, RMinHashLSH

    matrix = RMinHash.digest_matrix_from_token_sets([shingles(text) for text in texts], PLACES, 1)
    return sum(RMinHashLSH(THRESHOLD, PLACES, BANDS).query_duplicate_flags_matrix_one_shot(matrix))


def datasketch(texts: list[str]) -> int:
    """`MinHash.generator` and an index asked for and then filled."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PLACES, params=(BANDS, ROWS))
    encoded = ([shingle.encode() for shingle in shingles(text)] for text in texts)
    sketches, removed = [], 0
    for number, sketch in enumerate(MinHash.generator(encoded, num_perm=PLACES, seed=1)):
        removed += any(sketch.jaccard(sketches[other]) >= THRESHOLD for other in index.query(sketch))
        index.insert(number, sketch, check_duplication=False)
        sketches.append(sketch)
    return removed


def datatrove(texts: list[str]) -> int:
    """The four steps of its MinHash pipeline, one after the other in this process."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupFilter

    config = MinhashConfig(n_grams=SHINGLE, num_buckets=BANDS, hashes_per_bucket=ROWS)
    with tempfile.TemporaryDirectory() as place:
        folders = [str(Path(place, name)) for name in ("signatures", "buckets", "clusters")]

        def documents() -> list[Document]:
            return [Document(text=text, id=str(number)) for number, text in enumerate(texts)]

        MinhashDedupSignature(output_folder=folders[0], config=config).run(documents(), 0, 1)
        for rank in range(BANDS):
            MinhashDedupBuckets(folders[0], folders[1], config=config).run(None, rank, BANDS)
        MinhashDedupCluster(folders[1], folders[2], config=config).run(None, 0, 1)
        kept = MinhashDedupFilter(folders[2]).run(documents(), 0, 1)
        return len(texts) - sum(1 for _ in kept)


def cpu() -> float:
    """CPU seconds of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(work: Callable[[list[str]], int], texts: list[str]) -> dict[str, float]:
    """CPU seconds, documents per CPU second, and bytes of memory per document over the texts."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    started = cpu()
    removed = work(texts)
    spent = cpu() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "documents": len(texts),
        "cpu_s": round(spent, 3),
        "documents_per_cpu_s": round(len(texts) / spent),
        "bytes_per_document": round(max(peak - resident, 0) / len(texts)),
        "removed": int(removed),
    }


def main() -> None:
    name, path, count = sys.argv[1:]
    with open(path, encoding="utf-8") as stream:
        texts = [json.loads(line) for _, line in zip(range(int(count)), stream, strict=False)]
    work = {"rensa": rensa, "rensa_at_once": rensa_at_once, "datasketch": datasketch, "datatrove": datatrove}[name]
    work(texts[:20])  # imports and caches
    print(json.dumps(measured(work, texts)))


if __name__ == "__main__":
    main()
