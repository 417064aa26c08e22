"""Inputs on a Hugging Face hub: `hf://datasets/owner/name@revision/file-or-glob`, `hf://owner/name@revision`.

A revision becomes a commit once, when it is locked; every later read asks for that commit. HF_ENDPOINT and
HF_TOKEN are huggingface_hub's. Slipway sets HF_HUB_OFFLINE=1, so that no library reaches for a hub unasked: who
reads from one says so in the environment, and the error says how. No message repeats the library's own, because
that may hold a presigned address.
"""

import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway.adapters.hub.client import api, explained
from slipway.errors import Refusal, UserError
from slipway.files import Listed, Listing


class Hub:
    """Reads files of data set and model repositories; never writes."""

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint` is a URL; default: HF_ENDPOINT, else huggingface.co."""
        self._endpoint = endpoint

    @cached_property
    def _api(self) -> Any:
        return api(self._endpoint)

    def listing(self, path: str, suffixes: tuple[str, ...]) -> Listing:
        """The files at an address, and the commit that its revision stands for now."""
        from fsspec.utils import glob_translate

        uri, wanted = _parsed(path), _parsed(path).path_in_repo.rstrip("/")
        label = f"hf://{'datasets/' if uri.type == 'dataset' else ''}{uri.id}/"
        with _explained(path):
            commit = self._api.repo_info(uri.id, repo_type=uri.type, revision=uri.revision).sha
            tree = self._api.list_repo_tree(uri.id, repo_type=uri.type, revision=commit, recursive=True)
            # A folder has no size. LFS files state their sha256, so locking them downloads nothing.
            found = {
                entry.path: Listed(label + entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None)
                for entry in tree
                if hasattr(entry, "size")
            }
        if wanted in found:
            chosen = [wanted]
        elif re.search(r"[*?\[]", wanted):
            pattern = re.compile(glob_translate(wanted))
            chosen = [name for name in found if pattern.match(name)]
        else:
            folder = f"{wanted}/" if wanted else ""
            chosen = [name for name in found if name.startswith(folder) and name.endswith(suffixes)]
        return Listing(tuple(found[name] for name in sorted(chosen)), commit)

    def fetch(self, file: Listed, revision: str | None, target: Path, note: Callable[[int], None]) -> None:
        """Write a file of the commit `revision` to `target`; after a broken connection the library carries on.

        Raises:
            Refusal: if the commit or the file is no longer there.
        """
        uri = _parsed(file.path)
        if not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
            raise Refusal(f"{file.path}: not pinned to a commit ({revision}); pin it: slipway lock")
        begun = target.with_name(f"{target.name}.hub")
        try:
            with _explained(f"{file.path} at commit {revision}"):
                place = self._api.hf_hub_download(
                    uri.id,
                    uri.path_in_repo,
                    repo_type=uri.type,
                    revision=revision,
                    local_dir=begun,
                    cache_dir=begun / "cache",  # not the user's, whose damaged copy would be taken for the hub's
                    tqdm_class=_bar(note),
                )
            Path(place).replace(target)
        finally:
            shutil.rmtree(begun, ignore_errors=True)


def _bar(note: Callable[[int], None]) -> Any:
    """A progress bar that draws nothing and tells `note`."""
    from tqdm import tqdm

    class Told(tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings | {"disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            note(int(n or 0))
            return None

    return Told


def _parsed(path: str) -> Any:
    from huggingface_hub import parse_hf_uri
    from huggingface_hub.errors import HfUriError

    try:
        uri = parse_hf_uri(path)
    except HfUriError as error:
        raise UserError(f"{path}: {error}") from None
    if {"..", "."} & set(uri.path_in_repo.split("/")):
        raise Refusal(f"{path}: leads out of the repository; nothing was fetched")
    if uri.type not in ("dataset", "model"):
        raise UserError(f"{path}: is a {uri.type}; Slipway reads hf://datasets/owner/name and hf://owner/name")
    return uri


def _explained(what: str) -> AbstractContextManager[None]:
    closed = "the hub has no such repository for you; check the name, accept its terms, or set HF_TOKEN"
    return explained(what, closed=closed, gone="take another revision and run slipway lock")
