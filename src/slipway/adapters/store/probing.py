"""What an S3 endpoint can do, asked of it once per process instead of assumed.

Some servers ignore a condition that they do not know, and overwrite. Each question is therefore a request that must
fail: a write to an object that exists. The probe's object lies under `.probe/` and is deleted again.
"""

import threading
import uuid
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from slipway.adapters.store.connection import Connection
from slipway.adapters.store.leftovers import free
from slipway.errors import Refusal, UserError

CHECKSUM = "CRC64NVME"
"""Sent along with the content of files if AWS CRT computes it; without CRT it would cost more than the sending."""
_NO_SUCH_TAG = '"00000000000000000000000000000000"'
_KNOWN: dict[tuple[str, str, str], "Capabilities"] = {}
_ASKING = threading.Lock()


@dataclass(frozen=True)
class Capabilities:
    """Which conditions hold. The first three are needed, the others make it cheaper."""

    create_only: bool
    """`If-None-Match: *` on PutObject."""
    compare_and_swap: bool
    """`If-Match` on PutObject."""
    create_only_in_parts: bool
    """`If-None-Match: *` on CompleteMultipartUpload."""
    create_only_copy: bool
    """`If-None-Match: *` on CopyObject; without it, files are copied by UploadPartCopy."""
    checksum: bool
    """The server keeps a CRC64NVME that was sent along (AWS CRT is installed)."""

    def as_dict(self) -> dict[str, bool]:
        """Name -> whether it holds."""
        return asdict(self)


def of(connection: Connection, bucket: str, prefix: str) -> Capabilities:
    """What the endpoint can do with objects below `prefix`; probed if this process has not yet.

    Raises:
        Refusal: if it ignores a condition that create-only objects or the channel need.
    """
    at = (connection.endpoint, bucket, prefix)
    if at in _KNOWN:
        return _KNOWN[at]
    with _ASKING:  # several files are sent at a time, and each asks first
        if at in _KNOWN:
            return _KNOWN[at]
        found = _probe(connection, {"Bucket": bucket, "Key": f"{prefix}.probe/{uuid.uuid4().hex}"})
        needed = {
            "If-None-Match": found.create_only,
            "If-Match": found.compare_and_swap,
            "If-None-Match when parts are joined": found.create_only_in_parts,
        }
        if lacking := [name for name, holds in needed.items() if not holds]:
            raise Refusal(
                f"s3://{bucket}/{prefix}: the endpoint ignores {' and '.join(lacking)}, so a release could be "
                "overwritten; use an S3 server that keeps to conditional writes"
            )
        _KNOWN[at] = found
    return _KNOWN[at]


def forget() -> None:
    """Probe again next time, e.g. because another server answers at the same address."""
    _KNOWN.clear()


def _probe(connection: Connection, where: dict[str, str]) -> Capabilities:
    """Some ten requests of a few bytes; nothing is left of them."""
    checksum = False
    try:
        if find_spec("awscrt"):
            checksum = _keeps_checksum(connection, where)
        if not checksum and not _refused(connection, "put_object", **where, Body=b"1", IfNoneMatch="*"):
            pass  # it was new, or the request met its own first try: it exists either way
        return Capabilities(
            create_only=_refused(connection, "put_object", **where, Body=b"2", IfNoneMatch="*"),
            compare_and_swap=_refused(connection, "put_object", **where, Body=b"3", IfMatch=_NO_SUCH_TAG),
            create_only_in_parts=_parts(connection, where),
            create_only_copy=_refused(
                connection, "copy_object", **where, CopySource=where, MetadataDirective="REPLACE", IfNoneMatch="*"
            ),
            checksum=checksum,
        )
    finally:
        connection.call("delete_object", **where)


def _refused(connection: Connection, name: str, **arguments: Any) -> bool:
    try:
        connection.again(lambda: connection.call(name, **arguments))
    except FileExistsError:
        return True
    return False


def _keeps_checksum(connection: Connection, where: dict[str, str]) -> bool:
    """Create the probe's object with a checksum; False, with or without the object, if the server does not keep it."""
    try:
        connection.call("put_object", **where, Body=b"1", ChecksumAlgorithm=CHECKSUM)
        kept = connection.call("head_object", **where, ChecksumMode="ENABLED")
    except UserError:  # it knows no such algorithm; whether it can be reached at all, the next request tells
        return False
    return f"Checksum{CHECKSUM}" in kept


def _parts(connection: Connection, where: dict[str, str]) -> bool:
    """Whether joining parts over an object that exists is refused."""
    try:
        upload = {**where, "UploadId": connection.call("create_multipart_upload", **where)["UploadId"]}
        part = connection.call("upload_part", **upload, PartNumber=1, Body=b"4")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return _refused(connection, "complete_multipart_upload", **upload, MultipartUpload=parts, IfNoneMatch="*")
    except FileNotFoundError:  # gone after a try whose answer was lost: that one joined them
        return False
    finally:
        free(connection, where)
