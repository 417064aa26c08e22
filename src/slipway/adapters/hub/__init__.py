"""Releases on a Hugging Face hub: one commit per release, named by its hash, read back and withdrawn like any other.

    >>> sent = send("owner/name", Path("signed"), title="pydocs v3: bundle 9f…")
    >>> sent.url
    'hub://owner/name@6f1c…'
    >>> HubReader("owner/name", sent.commit).list()  # what verification reads

Endpoint and token are huggingface_hub's: HF_ENDPOINT, HF_TOKEN or its token file. docs/hub.md tells the whole.
"""

from slipway.adapters.hub.client import SCHEME, parse, ready
from slipway.adapters.hub.reader import HubReader, open_hub
from slipway.adapters.hub.sending import Sent, find, send, tag, withdraw

__all__ = ["SCHEME", "HubReader", "Sent", "find", "open_hub", "parse", "ready", "send", "tag", "withdraw"]
