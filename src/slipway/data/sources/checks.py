"""What every reader of files shares: a row, the limits' messages, and values in words."""

import json
from typing import Any

from slipway.data.sources.held import Held
from slipway.errors import Refusal, UserError
from slipway.settings import Limits

Row = tuple[int, dict[str, Any]]
"""Number, counted from 1, and columns."""
_KINDS = {
    type(None): "null",
    bool: "true/false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def check_unchanged(held: Held, sha256: str) -> None:
    """Raises Refusal if what was read, of this digest, is not what the lock let pass."""
    if sha256 != held.sha256:
        raise Refusal(
            f"{held.path}: changed while it was read: sha256 was {held.sha256}, of what was read it is {sha256}. "
            "Run again when nothing writes to it"
        )


def too_long(where: str, limits: Limits) -> UserError:
    """The error for a row beyond `limits.row_bytes`."""
    return UserError(
        f"{where}: longer than {limits.row_bytes:,} bytes, the limit of one row; cut the document into parts, "
        "or raise acquire.limits.row_bytes"
    )


def too_dense(path: str, limits: Limits) -> UserError:
    """The error for a file beyond `limits.expansion`."""
    return UserError(
        f"{path}: grows to more than {limits.expansion} times its size when unpacked, as a decompression "
        "bomb does; if the file is sound, raise acquire.limits.expansion, or unpack it"
    )


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def short(value: Any) -> str:
    """The beginning of a value, for a message; of a huge string no more is looked at than is shown."""
    try:
        text = json.dumps(value[:80] if isinstance(value, str) else value, default=str, ensure_ascii=True)
    except RecursionError:  # it was read with less of the stack in use
        return f"{kind_of(value)} nested very deeply"
    return text if len(text) <= 60 else f"{text[:59]}…"
