"""Files from elsewhere, kept by content: `.slipway/inputs/<sha256>`.

A download goes to a name of its own and is moved to its digest when it is complete, so a kill leaves at most a
stray file, and two runs at once do no harm. What is kept is hashed again each time it is used.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from slipway.data.sources.wanted import Listed, Remote
from slipway.errors import Refusal
from slipway.files import sha256_file


class Downloads:
    """The kept files of one project; `note` gets bytes done, bytes in all and a label."""

    def __init__(
        self, root: Path, remotes: Mapping[str, Remote], note: Callable[[int, int, str], None] | None = None
    ) -> None:
        self._kept = root / ".slipway" / "inputs"
        self._remotes = remotes
        self._note = note or (lambda *_: None)

    def take(self, listed: Listed, remote: Remote) -> str:
        """Fetch a file and keep it; returns its sha256."""
        self._note(0, listed.bytes, listed.path)
        self._kept.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._kept, prefix=".part-")
        os.close(handle)
        temporary = Path(name)
        try:
            remote.fetch(listed.path, temporary)
            sha256 = sha256_file(temporary)
            temporary.replace(self._kept / sha256)
        finally:
            temporary.unlink(missing_ok=True)
        self._note(listed.bytes, listed.bytes, listed.path)
        return sha256

    def locked(self, path: str, size: int, sha256: str, remote: Remote) -> Path:
        """Where the file of this digest lies, fetched if need be.

        Raises:
            Refusal: if what is fetched has another digest.
        """
        place = self._kept / sha256
        if place.exists() and sha256_file(place) == sha256:
            return place
        place.unlink(missing_ok=True)
        actual = self.take(Listed(path, size), remote)
        if actual != sha256:
            raise Refusal(
                f"{path}: what is there now has sha256 {actual}, but inputs.lock says {sha256}; nothing was read. "
                "Find out who changed it; if the change is meant, accept it: slipway lock"
            )
        return place
