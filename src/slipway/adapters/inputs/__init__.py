"""Where inputs come from that are not files of the working tree: S3, a Hugging Face hub, DVC's remote.

Adapters list and fetch; what was fetched is compared with `inputs.lock` by `slipway.data.sources`.
"""

from slipway.adapters.inputs.hub import Hub
from slipway.adapters.inputs.s3 import S3
from slipway.adapters.inputs.tracked import pull

__all__ = ["S3", "Hub", "pull", "remotes"]


def remotes() -> dict[str, S3 | Hub]:
    """The place behind each scheme of an address."""
    return {"s3": S3(), "hf": Hub()}
