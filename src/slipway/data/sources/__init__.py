"""Where text comes from: installed packages and local files, each held to `inputs.lock`.

`write_lock` records what the recipe's sources hold now, `check_lock` refuses anything else, and `acquire`
reads the sources into `data/raw/`. Nothing here judges or cleans text.
"""

from slipway.data.sources.acquire import acquire
from slipway.data.sources.lock import check_lock, write_lock

__all__ = ["acquire", "check_lock", "write_lock"]
