"""Telling a team's chat or pager of an incident: a signed JSON POST to `SLIPWAY_WEBHOOK`.

Headers are those of Standard Webhooks (https://www.standardwebhooks.com): `webhook-id` (of the incident, the same when
it is sent again), `webhook-timestamp`, and `webhook-signature`, `v1,` and the base64 of HMAC-SHA256 with
`SLIPWAY_WEBHOOK_SECRET` over `id.timestamp.body`. Whoever knows address and secret can write there in our name, so
neither is ever printed.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from slipway.errors import UserError

SECONDS = 10.0
"""For connecting, and for the answer."""
TRIES = 4


def configured() -> bool:
    """Whether there is somebody to be told; raises UserError if the address is none that may be used."""
    url = os.environ.get("SLIPWAY_WEBHOOK", "").strip()
    if not url:
        return False
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        raise UserError("SLIPWAY_WEBHOOK: not an https address (http is for localhost only); nothing was sent there")
    if not os.environ.get("SLIPWAY_WEBHOOK_SECRET"):
        raise UserError(
            "SLIPWAY_WEBHOOK is set, but SLIPWAY_WEBHOOK_SECRET is not, so the receiver could not tell who writes; "
            "set it to the secret that both know"
        )
    return True


def deliver(key: str, message: Mapping[str, Any]) -> None:
    """Send a message; tried again on a broken connection, 429 and 5xx.

    Args:
        key: id of the message; the receiver knows it again by that.
        message: JSON.

    Raises:
        UserError: if it was not taken, without a word of the address.
    """
    import urllib3

    body = json.dumps(message, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    stamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "slipway",
        "webhook-id": key,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{sign(_secret(), key, stamp, body)}",
    }
    retries = urllib3.Retry(
        TRIES - 1, redirect=0, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None, raise_on_status=False, raise_on_redirect=False,
        respect_retry_after_header=False,  # whoever answers must not hold the nightly look for hours
    )  # fmt: skip
    try:
        with _unheard(), urllib3.PoolManager(timeout=urllib3.Timeout(SECONDS), retries=retries) as pool:
            status = pool.request("POST", os.environ["SLIPWAY_WEBHOOK"].strip(), body=body, headers=headers).status
    except urllib3.exceptions.HTTPError as error:
        cause = getattr(error, "reason", None) or error
        raise UserError(
            f"SLIPWAY_WEBHOOK: {key} was not delivered ({type(cause).__name__}); see that it answers"
        ) from None
    if not 200 <= status < 300:
        raise UserError(f"SLIPWAY_WEBHOOK: {key} was not delivered (HTTP {status}); see what its log says")


def sign(secret: bytes, key: str, stamp: str, body: bytes) -> str:
    """The signature of a message, base64."""
    return base64.b64encode(hmac.new(secret, f"{key}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()


def _secret() -> bytes:
    """The secret's bytes: base64 after `whsec_`, as Standard Webhooks write it; anything else is taken as it is."""
    text = os.environ["SLIPWAY_WEBHOOK_SECRET"]
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise UserError("SLIPWAY_WEBHOOK_SECRET: begins with whsec_, but no base64 follows") from None


@contextmanager
def _unheard() -> Iterator[None]:
    """Within it urllib3 logs nothing: it would tell each retry with the address."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith("urllib3")]
    before = [(logger, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, state in before:
            logger.disabled = state
