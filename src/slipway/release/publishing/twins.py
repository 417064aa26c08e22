"""Twins: files of a new release that the store holds already, in an earlier release of the same name.

They are copied there instead of sent. A twin only saves time: its content is checked before, and the copy afterwards.
On S3 that takes three to six requests, so small files are sent, which takes one.
"""

from collections.abc import Iterator, Mapping

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.publishing.claim import Claim, examine
from slipway.release.publishing.pointer import Pointer, release_prefix
from slipway.release.publishing.read_back import ReadBack
from slipway.release.reading.reader import Reader
from slipway.release.reading.verify import MANIFEST, listed_files

WORTH = 128 << 10
"""Bytes from which on a file is copied; fewer are sent while the requests for a copy are still under way."""
LARGE = 1 << 20
"""Bytes from which on a file is worth looking for in releases before the channel's."""
RELEASES = 100
"""Earlier releases looked through, the latest first."""


def find(store: Reader, name: str, pointer: Pointer | None, wanted: Mapping[str, int], public: bytes) -> dict[str, str]:
    """sha256 -> key of files that releases of `name` hold, by what their manifests say.

    Args:
        store: where they lie.
        name: of the releases.
        pointer: of the channel; its release is looked at first, and all of its files are taken that are worth it.
        wanted: sha256 -> bytes of what is needed; large ones are looked for in all releases.
        public: key of the publisher, PEM.
    """
    wanted = {digest: size for digest, size in wanted.items() if size >= WORTH}
    found: dict[str, str] = {}
    if wanted and pointer and pointer.version and pointer.manifest_sha256:
        found |= _held(store, release_prefix(name, pointer.version), pointer.manifest_sha256)
    left = {digest for digest, size in wanted.items() if size >= LARGE} - found.keys()
    if left:
        for claim in _earlier(store, name, pointer, public):
            held = _held(store, release_prefix(name, claim.version), claim.manifest_sha256)
            found |= {digest: held[digest] for digest in left & held.keys()}
            left -= held.keys()
            if not left:
                break
    return {digest: key for digest, key in found.items() if digest in wanted}


def _earlier(store: Reader, name: str, pointer: Pointer | None, public: bytes) -> Iterator[Claim]:
    for claim in examine(store, name, public).claims[: -RELEASES - 1 : -1]:
        if pointer is None or claim.version != pointer.version:
            yield claim


def _held(store: Reader, prefix: str, manifest_sha256: str) -> dict[str, str]:
    """sha256 -> key of the files of a release; none if its manifest is missing or not the one that was claimed."""
    try:
        data, _ = store.read(f"{prefix}/{MANIFEST}")
        if sha256_bytes(data) != manifest_sha256:
            return {}
        return {digest: f"{prefix}/{path}" for path, digest in listed_files(data).items()}
    except (FileNotFoundError, Refusal):
        return {}  # every file can be sent from here


def sound(memory: ReadBack, sizes: Mapping[str, int], twins: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Which twins truly hold what they should, and the keys of those that do not.

    Args:
        memory: of the store.
        sizes: sha256 -> bytes of what is needed.
        twins: sha256 -> key.
    """
    found, _ = memory.hash({key: sizes[digest] for digest, key in twins.items()}, "publish: earlier release")
    good = {digest: key for digest, key in twins.items() if found.get(key) == digest}
    return good, sorted(twins[digest] for digest in twins.keys() - good.keys())
