"""The wiring of what happens to a release after it was published: the nightly look, and withdrawing it. No Prefect."""

import json
import tempfile
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from flows import hub
from slipway.adapters import webhook
from slipway.adapters.store import LocalStore, S3Store, open_store
from slipway.errors import Refusal, UserError
from slipway.files import write_atomic
from slipway.recipe import Recipe, load
from slipway.records import AuditReport, Incident, Look, OpenIncident, ScanReport, Watch
from slipway.release import audit
from slipway.release.publishing import pointer as pointers
from slipway.release.publishing.claim import FOLDER as CLAIMS
from slipway.release.reading import verify as verifying
from slipway.release.reading.fetch import fetch
from slipway.release.signing import keys
from slipway.release.withdrawal import incident as incidents
from slipway.release.withdrawal import shelf, tombstone
from slipway.release.withdrawal import yank as yanking
from slipway.release.withdrawal.fallback import Plan, plan
from slipway.release.withdrawal.tombstone import SEVERITIES, Severity
from slipway.release.withdrawal.yank import Cause

__all__ = ["SEVERITIES", "Cause", "Night", "Plan", "Severity", "Told", "foresee", "rescan", "withdraw"]

Store = LocalStore | S3Store


class Night(NamedTuple):
    """What a rescan came to."""

    looks: list[Look]
    new: list[Incident]
    standing: list[Incident]
    """Found on an earlier night, and not mended."""
    mended: list[Incident]
    undelivered: list[str]
    """Why the webhook did not take what it should have."""

    @property
    def failed(self) -> bool:
        """Whether somebody must look: something is new, broken, or nobody could be told."""
        broken = any(incident.severity == "fault" for incident in self.standing)
        return bool(self.new or broken or self.undelivered)


def rescan(root: Path, *, everything: bool = False) -> Night:
    """Verify what the channels name, scan and audit it with today's rules, and compare with the last time.

    Args:
        root: the project.
        everything: every name in the store, not only the recipe's.

    Raises:
        UserError: if there is no key to verify with, the store cannot be reached, or the webhook is set up wrongly.
    """
    recipe, store = load(root / "params.yaml"), open_store(root=root)
    night = Night([], [], [], [], [])
    to_tell = webhook.configured()
    for name in shelf.names(store) if everything else [recipe.name]:
        for channel in _channels(root, store, name, recipe):
            place = root / ".slipway" / "watch" / name / f"{channel}.json"
            before = _kept(place)
            now = _look(root, recipe, store, name, channel, before=before.look)
            standing, mended = incidents.carry(before.incidents, incidents.compare(before.look, now))
            known = {entry.incident.id for entry in before.incidents}
            if to_tell:
                standing = [_deliver(entry, night.undelivered) for entry in standing]
            kept = Watch(look=incidents.keep(before.look, now), incidents=tuple(standing))
            write_atomic(place, kept.to_json())
            night.looks.append(now)
            night.mended.extend(mended)
            for entry in standing:
                (night.standing if entry.incident.id in known else night.new).append(entry.incident)
    return night


def _channels(root: Path, store: Store, name: str, recipe: Recipe) -> list[str]:
    """The channels of a name that there are, that there were, and that the recipe releases to."""
    watched = {path.stem for path in (root / ".slipway" / "watch" / name).glob("*.json")}
    released = any(store.list(f"{folder}/{name}") for folder in ("channels", "claims", "releases"))
    own = {recipe.release.channel} if name == recipe.name and released else set()
    return sorted({*pointers.channels(store, name), *watched, *own})


def _kept(place: Path) -> Watch:
    """What the last night left; raises UserError if it cannot be read, for without it nothing can be compared."""
    try:
        return Watch.model_validate_json(place.read_bytes()) if place.exists() else Watch()
    except ValueError:
        raise UserError(f"{place}: not what a rescan wrote; restore it, or move it away to begin anew") from None


def _deliver(entry: OpenIncident, faults: list[str]) -> OpenIncident:
    if entry.delivered:
        return entry
    found = entry.incident
    text = f"slipway: {found.severity} in {found.release}: {found.kind}: {found.details}"
    try:
        webhook.deliver(found.id, {"text": text, "incident": found.model_dump(mode="json")})
    except UserError as fault:
        faults.append(str(fault))
        return entry
    return entry.model_copy(update={"delivered": True})


def _look(root: Path, recipe: Recipe, store: Store, name: str, channel: str, *, before: Look | None) -> Look:
    """What there is to see of a channel now; what does not hold is kept, not raised."""
    now, public = datetime.now(UTC), keys.public_key(root)
    broken: dict[str, str] = {}
    pointer, fault = _pointer(store, name, channel, public, now)
    if fault:
        broken["pointer"] = fault
    files, scanned, audited = 0, None, None
    if pointer is not None and pointer.version is not None:
        try:
            files, scanned, audited = _content(root, recipe, store, pointer, public)
        except (Refusal, FileNotFoundError) as error:
            broken["bytes"] = str(error)
    released, withdrawn = before.releases if before else (), before.withdrawn if before else ()
    try:
        entries, faults = shelf.versions(store, name, public)
        if unlike := [fault for fault in faults if fault.startswith(f"{store.url}/{CLAIMS}/")]:
            raise Refusal(unlike[0])  # what it hides cannot be told from what is gone
        released = tuple(sorted(entry.version for entry in entries if entry.state != "unfinished"))
        withdrawn = tuple(sorted(entry.version for entry in entries if entry.state == "withdrawn" and entry.holds))
    except Refusal as refusal:  # a damaged claim, a link: an incident of its own, not an end of the look
        broken.setdefault("bytes", str(refusal))
    return Look(
        name=name,
        channel=channel,
        time=now.isoformat(timespec="seconds"),
        serial=pointer.serial if pointer else 0,
        version=pointer.version if pointer else None,
        manifest_sha256=pointer.manifest_sha256 if pointer else None,
        expires=pointer.expires if pointer else None,
        files=files,
        files_scanned=scanned.files_scanned if scanned else 0,
        releases=released,
        withdrawn=withdrawn,
        listed=pointer.withdrawn if pointer else (),
        findings=tuple(f"{f.rule} {f.path}: {f.reason}" for f in scanned.findings) if scanned else (),
        audit=audited.status if audited else "not run",
        advisories={f.id: f"{f.package} {f.version}" for f in audited.findings} if audited else {},
        broken=broken,
    )


def _pointer(
    store: Store, name: str, channel: str, public: bytes, now: datetime
) -> tuple[pointers.Pointer | None, str | None]:
    """The pointer as far as it can be read, and what is wrong with it."""
    what = f"{store.url}/{pointers.pointer_key(name, channel)}"
    try:
        pointer = pointers.current(store, name, channel, public)
    except Refusal as fault:
        return None, str(fault)
    if pointer is None:
        return None, f"{what}: the pointer is missing; nothing was released on this channel, or it was removed"
    expired = datetime.fromisoformat(pointer.expires) < now
    return pointer, f"{what}: expired {pointer.expires}; renew it with `slipway release`" if expired else None


def _content(
    root: Path, recipe: Recipe, store: Store, pointer: pointers.Pointer, public: bytes
) -> tuple[int, ScanReport, AuditReport]:
    """Verify every byte of what the pointer names, scan and audit it; raises Refusal if it is not as signed."""
    from slipway.scan.verdict import scan

    name, version = pointer.name, str(pointer.version)
    settings, today = recipe.release.audit, datetime.now(UTC).date()
    local = isinstance(store, LocalStore)  # one that keeps what two releases have in common once, by hard links
    with tempfile.TemporaryDirectory() as to:
        at = pointers.release_prefix(name, version)
        if isinstance(store, LocalStore):
            verified, place = verifying.verify(store, at, public), store.root / at
            release, files = verified.release, verified.files
            found = (release.name, release.version, release.sequence, release.manifest_sha256)
        else:
            place = Path(to) / "release"
            got = fetch(store, name, version, place, public, channel=pointer.channel)
            found, files = (got.name, got.version, got.sequence, got.manifest_sha256), got.files
        if found != (name, version, pointer.sequence, pointer.manifest_sha256):
            raise Refusal(f"{store.url}/{at}: a signed release, but not the one that {pointer.channel} names")
        scanned = scan(place, recipe.scan.max_file_bytes, str(pointer.manifest_sha256), shared=local)
        audited = audit.of_bundle(place, root / settings.advisories, today, settings.max_age_days)
    return files, scanned, audited


class Told(NamedTuple):
    """What a withdrawal did, and what of it was not done."""

    done: yanking.Withdrawal
    tracking: str
    """What MLflow was told; empty if it could not be."""
    undone: list[str]


def foresee(root: Path, name: str, version: str) -> Plan:
    """What withdrawing would do; raises as `slipway.release.withdrawal.fallback.plan`."""
    recipe, store = load(root / "params.yaml"), open_store(root=root)
    return plan(store, name, version, keys.public_key(root), recipe.release.channel)


def withdraw(root: Path, name: str, version: str, cause: Cause, note: Callable[[str], None] = lambda _: None) -> Told:
    """Withdraw a release in the store, then in MLflow; what the latter does not take is told, and changes nothing.

    Raises:
        UserError: if there is no such release, or no key to sign with.
    """
    from slipway.adapters import tracking

    recipe, store = load(root / "params.yaml"), open_store(root=root)
    signer = keys.signer(root, shared=not isinstance(store, LocalStore))
    faults: list[str] = []
    told: list[str] = []

    def tell(yanked: yanking.Yanked, now: Mapping[str, str | None], passed: Collection[str]) -> None:
        try:
            line = tracking.withdraw(root, name, version, reason=yanked.reason, channels=now, passed=passed)
        except UserError as fault:
            faults.append(str(fault))
        else:
            told.append(line or "knows no such release")

    done = yanking.yank(
        store, name, version, signer, cause=cause, preferred=recipe.release.channel,
        expires_days=recipe.release.expires_days, note=note, then=tell,
    )  # fmt: skip
    if recipe.release.hub and name == recipe.name:
        stone, _ = store.read(f"{pointers.release_prefix(name, version)}/{tombstone.NAME}")
        try:
            on_hub = hub.withdraw(recipe.release.hub, name, version, done.yanked.manifest_sha256, stone)
            told.append(f"hub: {', '.join(on_hub) or 'holds no such release'}")
        except UserError as fault:
            faults.append(str(fault))
    place = root / ".slipway" / "yanks" / f"{name}-{version}.json"
    write_atomic(place, json.dumps(done.model_dump(mode="json"), indent=2) + "\n")
    return Told(done, "; ".join(told), [*done.unlike, *faults])
