"""Checkpoints of released runs in the store, `checkpoints/<digest>/<file>`, so that strangers can replay a segment.

Their digest is the sha256 of their manifest, and the signed chain of a release names it. So nothing here needs a
signature of its own, and two releases of one run share what lies here.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.publishing.claim import Store
from slipway.release.reading.reader import Reader, stream_digest

FOLDER = "checkpoints"
MANIFEST = "manifest.json"


def send(store: Store, at_hand: Mapping[str, Path]) -> int:
    """Bring checkpoints into the store, each file once and the manifest last, and read them back; how many were new.

    Args:
        store: where they go.
        at_hand: digest -> directory of a checkpoint whose files were compared with it.

    Raises:
        Refusal: if another content lies where a checkpoint belongs.
    """
    new = 0
    for digest, directory in at_hand.items():
        files = json.loads((directory / MANIFEST).read_bytes()) | {MANIFEST: digest}
        present = store.list(f"{FOLDER}/{digest}")
        new += f"{FOLDER}/{digest}/{MANIFEST}" not in present
        for name, expected in files.items():
            key = f"{FOLDER}/{digest}/{name}"
            try:
                if key not in present:
                    store.create(key, directory / name, sha256=expected)
            except FileExistsError:
                pass  # a retried request met its own first try; reading back decides
            if stream_digest(store, key) != expected:
                raise Refusal(
                    f"{store.url}/{key}: not the content that the digest names; someone else wrote it. Remove "
                    f"{FOLDER}/{digest} from the store and release again"
                )
    return new


def fetch(store: Reader, digest: str, target: Path, top: str = "") -> bool:
    """Copy the checkpoint with this digest into `target`, a new directory; False if the store does not have it.

    Whoever reads it compares its files; here only the manifest is, before a name in it is used.

    Raises:
        Refusal: if its manifest is not the one that the digest names.
    """
    folder = f"{top}{FOLDER}/{digest}"
    try:
        manifest, _ = store.read(f"{folder}/{MANIFEST}")
        if sha256_bytes(manifest) != digest:
            raise Refusal(f"{store.url}/{folder}/{MANIFEST}: not the manifest that the digest names; do not use it")
        target.mkdir(parents=True)
        for name in json.loads(manifest):
            with store.open(f"{folder}/{name}") as source, (target / Path(name).name).open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        (target / MANIFEST).write_bytes(manifest)
    except FileNotFoundError:
        return False
    return True
