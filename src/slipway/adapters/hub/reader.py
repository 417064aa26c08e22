"""A release on a hub as verification reads it: `list`, `read` and `open` of one commit, named by its hash.

The hub's own `.gitattributes`, which says what lies in its large file storage, is left out of the list as long as it
says nothing else. A commit cannot be changed, so its tombstone lies on a branch that is named after it.
"""

import re
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from slipway.adapters.hub.client import SCHEME, Missing, api, explained, parse
from slipway.errors import UserError

ATTRIBUTES = ".gitattributes"
TOMBSTONE = "yanked.json"
"""As `slipway.release.withdrawal.tombstone` calls it."""
_LARGE = re.compile(r"\S+ filter=lfs diff=lfs merge=lfs -text")


def withdrawn_branch(commit: str) -> str:
    """Name of the branch that holds the tombstone of a commit."""
    return f"withdrawn-{commit[:16]}"


def open_hub(address: str) -> "HubReader":
    """The release at `hub://OWNER/NAME@COMMIT`; raises UserError if the address names none."""
    return HubReader(*parse(address))


def _late_bar() -> Any:
    """A progress bar for files that take longer than a second."""
    from huggingface_hub.utils import tqdm

    class Late(tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings | {"delay": 1.0})

    return Late


class HubReader:
    """Objects are the files of one commit; never writes."""

    def __init__(self, repository: str, commit: str) -> None:
        parse(f"{SCHEME}{repository}@{commit}")  # a branch would be another release tomorrow
        self.repository, self.commit = repository, commit
        self.url = f"{SCHEME}{repository}@{commit}"
        self._api = api()

    @cached_property
    def _tombstone(self) -> str | None:
        """Commit that holds the tombstone, if the release was withdrawn."""
        with explained(self.url):
            refs = self._api.list_repo_refs(self.repository, repo_type="model")
        wanted = withdrawn_branch(self.commit)
        return next((str(ref.target_commit) for ref in refs.branches if ref.name == wanted), None)

    @cached_property
    def _files(self) -> dict[str, int]:
        try:
            with explained(self.url):
                tree = self._api.list_repo_tree(
                    self.repository, repo_type="model", revision=self.commit, recursive=True
                )
                found = {entry.path: int(entry.size) for entry in tree if hasattr(entry, "size")}
        except Missing:
            raise UserError(f"{self.url}: no such commit on the hub; take the address from the publisher") from None
        if ATTRIBUTES in found and self._only_large_files():
            del found[ATTRIBUTES]
        if self._tombstone:
            found[TOMBSTONE] = 0
        return dict(sorted(found.items()))

    def _only_large_files(self) -> bool:
        text, _ = self._read(ATTRIBUTES, self.commit)
        lines = [line.strip() for line in text.decode("utf-8", errors="replace").splitlines()]
        return all(_LARGE.fullmatch(line) for line in lines if line)

    def list(self, prefix: str = "") -> dict[str, int]:
        """Path -> bytes of the files below `prefix`; a tombstone is listed with 0 bytes."""
        folder = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        return {path: size for path, size in self._files.items() if path.startswith(folder)}

    def read(self, key: str) -> tuple[bytes, str]:
        """Content of a small file and the commit as its tag; raises FileNotFoundError."""
        return self._read(key, (self._tombstone or self.commit) if key == TOMBSTONE else self.commit)

    def _read(self, key: str, commit: str) -> tuple[bytes, str]:
        with self._fetched(key, commit) as stream:
            return stream.read(), commit

    def open(self, key: str) -> BinaryIO:
        """A stream over a file of any size, downloaded to a temporary file first; raises FileNotFoundError."""
        return self._fetched(key, self.commit)

    def _fetched(self, key: str, commit: str) -> BinaryIO:
        if not key or key.startswith("/") or {"", ".", ".."} & set(key.split("/")):
            raise UserError(f"{key!r} is no file of a repository; use a relative path without `..`")
        # Not the user's cache, whose damaged copy would be taken for the hub's.
        folder = Path(tempfile.mkdtemp(prefix="slipway-hub-"))
        try:
            with explained(f"{self.url}/{key}"):
                place = self._api.hf_hub_download(
                    self.repository,
                    key,
                    repo_type="model",
                    revision=commit,
                    local_dir=folder,
                    cache_dir=folder / "cache",
                    tqdm_class=_late_bar(),
                )
            # The open file outlives its name, so nothing is left behind even by a process that is killed later.
            return open(place, "rb")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
