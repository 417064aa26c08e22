"""Where inputs come from that are not files of the working tree: S3, a Hugging Face hub, DVC's remote.

Adapters list and fetch; what was fetched is compared with `inputs.lock` by `slipway.data.sources`.
"""

import sys

from slipway.adapters.inputs.hub import Hub
from slipway.adapters.inputs.s3 import S3
from slipway.adapters.inputs.tracked import pull

__all__ = ["S3", "Hub", "pull", "remotes", "told"]


def remotes() -> dict[str, S3 | Hub]:
    """The place behind each scheme of an address."""
    return {"s3": S3(), "hf": Hub()}


def told(done: int, total: int, label: str) -> None:
    """Show on stderr how far a download is: a line that redraws in a terminal, one per file elsewhere."""
    terminal = sys.stderr.isatty()
    if terminal or done >= total:
        start, end = ("\r\x1b[2K", "\n" if done >= total else "") if terminal else ("", "\n")
        print(f"{start}fetched {done:,} of {total:,} bytes: {label}", end=end, file=sys.stderr, flush=True)
