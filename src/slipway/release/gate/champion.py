"""The champion: the release that the channel names now, as far as a comparison needs it.

Its report of `evaluate` and its item table are read from the store, each held against the champion's own signature.

>>> read(store, "pydocs", "stable", public).release
'pydocs v3'
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from slipway import items
from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.records import EvaluateReport, StageRecord
from slipway.release.bundle import manifest
from slipway.release.publishing.pointer import read_pointer, release_prefix
from slipway.release.reading.reader import Reader
from slipway.release.reading.verify import signed_files
from slipway.release.withdrawal import tombstone

if TYPE_CHECKING:
    import pyarrow as pa

REPORT, ITEMS = "records/evaluate.json", f"records/{items.NAME}"
"""Where they lie in a release."""


@dataclass(frozen=True)
class Champion:
    """A release that the next one is compared with."""

    release: str
    """`NAME VERSION`."""
    manifest_sha256: str
    """Its bundle digest."""
    report: EvaluateReport | None
    items: "pa.Table | None"
    slipway: str = ""
    """Version of Slipway that evaluated it."""
    unfit: str = ""
    """Why it has no report or no items to compare with; empty if it has both."""


def read(store: Reader, name: str, channel: str, public: bytes) -> Champion | None:
    """The champion of a channel, or None if nothing was ever released there.

    A release of a Slipway that published no item table comes back without one, and says so in `unfit`.

    Raises:
        Refusal: if pointer, signature or a digest does not hold, a signed file is gone, or the release was withdrawn.
    """
    try:
        pointer = read_pointer(store, name, channel, public)
    except FileNotFoundError:
        return None
    if pointer.version is None:
        return None  # all that was released was withdrawn
    prefix = release_prefix(name, pointer.version)
    if tombstone.exists(store, prefix):
        raise Refusal(
            f"{store.url}/{prefix}: withdrawn, and channel {channel} names it all the same: the withdrawal was "
            f"interrupted. Finish it with `slipway yank {name}@{pointer.version} --reason TEXT`, then ask again"
        )
    try:
        signed = signed_files(store, prefix, public)
    except FileNotFoundError:
        raise Refusal(
            f"{store.url}/{prefix}: channel {channel} names it, but its signature is gone; restore it before you "
            "release over it"
        ) from None
    if signed.get(manifest.NAME) != pointer.manifest_sha256:
        raise Refusal(f"{store.url}/{prefix}: not the release that channel {channel} was signed for; do not trust it")
    release = f"{name} {pointer.version}"
    found = {path: _read(store, f"{prefix}/{path}", signed[path]) for path in (REPORT, ITEMS) if path in signed}
    report, slipway, fault = _report(found)
    table, missing = _table(found)
    return Champion(release, signed[manifest.NAME], report, table, slipway, fault or missing)


def _read(store: Reader, key: str, digest: str) -> bytes:
    try:
        data, _ = store.read(key)
    except FileNotFoundError:
        raise Refusal(f"{store.url}/{key}: signed, but missing; restore it before you release over it") from None
    if sha256_bytes(data) != digest:
        raise Refusal(f"{store.url}/{key}: not the bytes that were signed; do not compare with this release")
    return data


def _report(found: Mapping[str, bytes]) -> tuple[EvaluateReport | None, str, str]:
    """Report, version of Slipway, and what is wrong with it."""
    if REPORT not in found:
        return None, "", f"it has no {REPORT}"
    slipway = "another"
    try:
        record = StageRecord.model_validate_json(found[REPORT])
        slipway = record.slipway
        return EvaluateReport.model_validate_json(json.dumps(record.result)), slipway, ""
    except ValidationError:
        return None, slipway, f"{REPORT} is of Slipway {slipway}, and no report that this one reads"


def read_table(source: Path | bytes) -> tuple["pa.Table | None", str]:
    """An item table with its own columns and types, and what is wrong with it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(source if isinstance(source, Path) else io.BytesIO(source))
        return found.select(items.schema().names).cast(items.schema()), ""
    except FileNotFoundError:
        return None, "no such file"
    except (pa.ArrowException, KeyError, OSError) as error:
        return None, f"no item table that this Slipway reads ({' '.join(str(error).split())[:80]})"


def _table(found: Mapping[str, bytes]) -> tuple["pa.Table | None", str]:
    """Item table, and what is wrong with it."""
    if ITEMS not in found:
        return None, f"it has no {ITEMS}"
    held, fault = read_table(found[ITEMS])
    return held, fault and f"{ITEMS} is {fault}"
