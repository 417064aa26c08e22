"""Digests of many large objects: several files at once, with a bar in the terminal once it takes longer than a second.

sha256 runs outside of Python's lock, so threads use as many cores as there are; of a remote store they hide the wait.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from slipway.progress import Progress
from slipway.release.reading.reader import Reader, stream_digest

THREADS = 8
"""At most; each holds a block of 1 MiB."""
QUIET = 1.0
"""Seconds before a bar is shown."""


class _Bar:
    """How many bytes were read, by all threads together."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._lock = total, 0, threading.Lock()
        self._began = time.monotonic()
        self._show = Progress("verify") if sys.stdout.isatty() else None

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._show and time.monotonic() - self._began > QUIET:
                speed = self._done / (time.monotonic() - self._began) / 1e6
                self._show(self._done, self._total, f"{self._done / 1e9:.1f} GB, {speed:.0f} MB/s")


def digests(store: Reader, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Key and hex sha256 of each object, in the order of `sizes` (key -> bytes, for the bar).

    What is left is not read once the caller stops asking; raises as the store's `open` does.
    """
    note = _Bar(sum(sizes.values()))
    pool = ThreadPoolExecutor(min(THREADS, (os.cpu_count() or 1) + 2, max(len(sizes), 1)))
    try:
        # The largest first, so that none of them is left for the end alone.
        largest = sorted(sizes, key=lambda key: -sizes[key])
        futures = {key: pool.submit(stream_digest, store, key, note) for key in largest}
        for key in sizes:
            yield key, futures[key].result()
    finally:
        pool.shutdown(cancel_futures=True)
