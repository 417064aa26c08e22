"""Where releases lie: a local directory or a prefix of an S3 bucket, with the same calls and the same guarantees.

An object is written whole or not at all and never overwritten (`create`, `copy`); only small pointers
move, by compare-and-swap (`swap`). Nothing is ever deleted. What lies where is decided by
`slipway.release.publishing.publish`, not here.

    >>> store = open_store("s3://bucket/models")
    >>> store.create("releases/pydocs/v1/config.json", b"{}")
"""

import os
from pathlib import Path

from slipway.adapters.store.local import LocalStore
from slipway.adapters.store.s3 import S3Store
from slipway.errors import UserError

__all__ = ["LocalStore", "S3Store", "open_store"]


def open_store(url: str | None = None, root: str | Path = ".") -> LocalStore | S3Store:
    """The store at `url`: `s3://bucket/prefix`, or a directory (relative to `root`, made on the first write).

    Without `url`: `SLIPWAY_STORE`, else `.slipway/store`. Interrupted uploads are remembered in `.slipway/uploads`.

    Raises:
        UserError: for a URL of another kind, or without a bucket.
    """
    url = url or os.environ.get("SLIPWAY_STORE") or ".slipway/store"
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise UserError(f"{url} names no bucket; write s3://bucket/prefix")
        return S3Store(bucket, prefix.strip("/"), journal=Path(root, ".slipway", "uploads").absolute())
    if "://" in url:
        raise UserError(f"{url} is no store Slipway knows; use s3://bucket/prefix or a directory (SLIPWAY_STORE)")
    return LocalStore(Path(root) / url)
