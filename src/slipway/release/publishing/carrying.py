"""Bringing the files of one release into a store: copied from a twin that lies there, or sent from here."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slipway.progress import Transfer
from slipway.release.publishing.claim import Store

SMALL = 1 << 20
"""Bytes up to which files go several at a time; a larger one is sent in parts that do."""
AT_A_TIME = 8


class Load:
    """What is on its way to the folder of one release, and what became of it."""

    def __init__(self, store: Store, prefix: str, root: Path, digests: Mapping[str, str], twins: Mapping[str, str]):
        """Set it up; nothing moves yet.

        Args:
            store: where it goes.
            prefix: of the release.
            root: directory that the files lie in.
            digests: path -> sha256.
            twins: sha256 -> key in the store that holds the same.
        """
        self._store, self._prefix, self._root = store, prefix, root
        self._digests, self._twins = digests, twins
        self.how: dict[str, str] = {}
        """Path -> `sent`, `copied`, or `present` if it was there."""

    def place(self, sizes: Mapping[str, int]) -> None:
        """Bring files into the store; `sizes` is path -> bytes. Small ones first, and in no order."""
        shown = Transfer("publish: send", sum(sizes.values()))
        small = [path for path, size in sizes.items() if size <= SMALL]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(lambda path: self._one(path, shown), small))
        for path in sizes:
            if path not in small:
                self._one(path, shown)
        shown.end()

    def count(self, how: str) -> int:
        """Files that were `sent`, `copied` or `present`."""
        return sum(was == how for was in self.how.values())

    def _one(self, path: str, shown: Transfer) -> None:
        key, digest = f"{self._prefix}/{path}", self._digests[path]
        try:
            if twin := self._twins.get(digest):
                self._store.copy(twin, key)
                self.how[path] = "copied"
            else:
                self._store.create(key, self._root / path, sha256=digest, note=shown)
                self.how[path] = "sent"
        except FileExistsError:
            self.how[path] = "present"  # another publisher of the same bundle was faster; reading back decides
