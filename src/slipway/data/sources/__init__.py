"""Where text comes from: installed packages, files of the project, S3, Hugging Face hubs; each held to `inputs.lock`.

`write_lock` records what the recipe's inputs hold now, `check_lock` refuses anything else, `fetch` brings what is not
here, and `acquire` reads it all into `data/`. Nothing here judges or cleans text.
"""

from slipway.data.sources.acquire import acquire
from slipway.data.sources.lock import check_lock, fetch, write_lock

__all__ = ["acquire", "check_lock", "fetch", "write_lock"]
