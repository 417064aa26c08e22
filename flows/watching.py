"""The wiring of what happens to a release after it was published: the nightly look at it. No Prefect here."""

import tempfile
from pathlib import Path
from typing import Any

from slipway.adapters.store import LocalStore, open_store
from slipway.errors import Refusal
from slipway.recipe import load
from slipway.release import keys
from slipway.release import pointer as pointers
from slipway.release import verify as verifying


def rescan(root: Path) -> dict[str, Any] | None:
    """Verify the release that the channel names and scan it with today's rules; None if nothing was released yet.

    Raises:
        Refusal: if a byte, a signature or the pointer does not hold or is gone, or the scan finds something.
    """
    from slipway.scan.verdict import scan

    recipe, store = load(root / "params.yaml"), open_store(root=root)
    name, channel = recipe.name, recipe.release.channel
    if not any(store.list(f"{folder}/{name}") for folder in ("channels", "claims", "releases")):
        return None
    public = keys.public_key(root)
    verified = verifying.verify_channel(store, name, channel, public)
    local = isinstance(store, LocalStore)  # one that keeps what two releases have in common once, by hard links
    with tempfile.TemporaryDirectory() as to:
        at = pointers.release_prefix(name, verified.release.version)
        place = store.root / at if isinstance(store, LocalStore) else verifying.fetch(store, at, Path(to), public)
        report = scan(place, recipe.scan.max_file_bytes, verified.release.manifest_sha256, shared=local)
    if not report.passed:
        found = "\n".join(f"  {finding.rule}  {finding.path}: {finding.reason}" for finding in report.findings)
        raise Refusal(f"{verified.uri}: today's rules refuse what was released:\n{found}")
    return verified.model_dump(mode="json") | {"files_scanned": report.files_scanned}
