"""Changing the signing key: events are written to the key log, and the channels signed anew.

Each event is one create-only object, so of two writers one wins. Pointers follow after the event; whoever is
interrupted in between runs the same again. Until then readers take the old key's pointers for a short while
(`slipway.release.signing.keyring.GRACE`).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release.publishing import recall
from slipway.release.publishing.claim import RACES, Store
from slipway.release.publishing.moving import swap_pointer
from slipway.release.publishing.pointer import POINTER, Pointer, pointer_key, release_prefix
from slipway.release.reading.book import load
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring, signature
from slipway.release.signing.envelope import seal, unseal
from slipway.release.signing.keys import public_of
from slipway.release.signing.made import made_by

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


class Rotated(Record):
    """What a rotation did."""

    event: str
    """Key of the event in the store."""
    signed: int
    """Signatures of the old key that stay good."""
    channels: tuple[str, ...]
    """Channels signed anew, NAME/CHANNEL."""
    left_out: tuple[str, ...]
    """Releases whose signature is missing or does not hold, so that they do not stay good."""


def rotate(
    store: Store, old: "Signer", new: "Signer", *, unfinished: bool = False, now: datetime | None = None
) -> Rotated:
    """Put `new` in the place of `old`, and sign every channel with it.

    Args:
        store: whose key it is.
        old: signs until now.
        new: signs from now on.
        unfinished: go on though a release has begun and has no signature; it can then only be made as a new version.
        now: for tests.

    Raises:
        Refusal: if `old` does not sign for this store, a channel does not hold, someone else was faster, or a release
            is unfinished.
    """
    was, public = public_of(old), public_of(new)
    if was == public:
        raise UserError("the new key is the old one; give another with --new")
    ring = keyring.read(store, was)
    mine = ring.retired.get(sha256_bytes(was))
    left: list[str] = []
    if mine is None:
        keyring.seen(store, was)
        # One that does not hold, or is hidden, is found before anything is written: nobody could sign it anew later.
        seen = {
            tuple(key.removeprefix("channels/").removesuffix(".json").split("/"))
            for key in _pointers(store, was, public)
        }
        for name, channel in sorted(seen | recall.written(store, was)):
            recall.held(store, name, channel, was)
        made = made_by(store, ring, was)
        left = made.bad
        if made.begun and not unfinished:
            raise Refusal(
                f"{store.url}: {', '.join(made.begun)} was begun and is not complete; finish it with "
                "`slipway release`, or give it up with --leave-unfinished"
            )
        mine = keyring.Rotate(
            number=len(ring.events) + 1, previous=_last(ring), time=_time(now), old=was.decode(), new=public.decode(),
            signed=made.signed, objects=made.objects,
        )  # fmt: skip
        _append(store, mine, old, new)
        ring = keyring.read(store, public)
    if mine.new.encode() != public or ring.current != public:
        raise Refusal(
            f"{store.url}: key {sha256_bytes(was)[:16]}… was replaced by another key on {mine.time}, not by this one; "
            "see `slipway keys list`"
        )
    moved = [_resign(store, key, was, new) for key in _pointers(store, was, public)]
    return Rotated(
        event=f"{keyring.FOLDER}/{mine.number:06d}.json",
        signed=len(mine.signed),
        channels=tuple(name for name in moved if name),
        left_out=tuple(left),
    )


def revoke(
    store: Store,
    signer: "Signer",
    key: str,
    *,
    reason: str,
    trusted: Mapping[str, str],
    last: bool = False,
    now: datetime | None = None,
) -> str:
    """Say that a key is not trusted any more; returns the key of the event in the store.

    Args:
        store: whose key it was.
        signer: the present key, or the revoked one itself.
        key: sha256 of its PEM.
        reason: for those who verify.
        trusted: `NAME@VERSION` -> sha256 of the model.sig of releases that stay good.
        last: revoke the present key too, which leaves nobody to sign for this store.
        now: for tests.

    Raises:
        Refusal: if it is the present key and not `last`, was revoked before, or someone else was faster.
        UserError: if the log knows no such key.
    """
    public = public_of(signer)
    ring = keyring.read(store, public)
    if key not in map(sha256_bytes, ring.keys):
        raise UserError(f"{key[:16]}…: no key of {store.url}; see `slipway keys list`")
    if found := ring.revoked.get(key):
        raise Refusal(f"{key[:16]}…: revoked already, on {found.time}")
    if key == sha256_bytes(ring.current) and not last:
        raise Refusal(
            f"{key[:16]}… signs now. Run `slipway keys rotate` first, then revoke it; if the store is to be given up, "
            "revoke it with --last"
        )
    event = keyring.Revoke(
        number=len(ring.events) + 1, previous=_last(ring), time=_time(now), by=public.decode(), key=key, reason=reason,
        trusted=dict(trusted),
    )  # fmt: skip
    # What the log would say with it must hold before it is there: nobody can take an event back.
    keyring.resolve([*ring.log, _sealed(event, signer)], public, store.url)
    key_of_event = _append(store, event, signer)
    recall.note_events(store, public)
    return key_of_event


def signature_digest(store: Reader, name: str, version: str) -> str:
    """sha256 of the model.sig of a release; raises UserError if there is none."""
    key = f"{release_prefix(name, version)}/{signature.NAME}"
    try:
        return sha256_bytes(store.read(key)[0])
    except FileNotFoundError:
        raise UserError(f"{store.url}/{key}: missing; no such release") from None


def _pointers(store: Reader, old: bytes, new: bytes) -> list[str]:
    """Keys of the pointers that `old` signed; raises Refusal for one that neither of the two did."""
    found = []
    for key in store.list("channels"):
        if key.endswith("/"):
            continue  # an empty folder
        data, what = store.read(key)[0], f"{store.url}/{key}"
        try:
            unseal(data, POINTER, new, what)
        except Refusal:
            unseal(data, POINTER, old, what)
            found.append(key)
    return found


def _resign(store: Store, key: str, old: bytes, signer: "Signer") -> str | None:
    """Sign the pointer at `key` with the new key; None if someone else has moved it with that key by now."""
    for _ in range(RACES):
        book = load()
        data, tag = store.read(key)
        try:
            held = Pointer.model_validate_json(json.dumps(unseal(data, POINTER, old, f"{store.url}/{key}")))
        except Refusal:
            unseal(data, POINTER, public_of(signer), f"{store.url}/{key}")
            return None
        if pointer_key(held.name, held.channel) != key:
            raise Refusal(f"{store.url}/{key}: signed for {held.name}/{held.channel}; someone copied it here")
        at = recall.compare(book, store, held.name, held.channel, old, pointer=held, tag=tag)
        gone = {*held.withdrawn, *at.withdrawn}
        next_: dict[str, object] = {"serial": at.serial + 1, "withdrawn": tuple(sorted(gone))}
        if held.version in gone:
            next_ |= {"version": None, "sequence": 0, "manifest_sha256": None}
        if swap_pointer(store, held.model_copy(update=next_), signer, tag):
            return f"{held.name}/{held.channel}"
    raise UserError(f"{store.url}/{key}: lost {RACES} races for the channel; is the store writable and consistent?")


def _sealed(event: keyring.Rotate | keyring.Revoke, *signers: "Signer") -> bytes:
    payload: dict[str, Any] = event.model_dump(mode="json")
    return seal(payload, keyring.TYPE, *signers)


def _append(store: Store, event: keyring.Rotate | keyring.Revoke, *signers: "Signer") -> str:
    key = f"{keyring.FOLDER}/{event.number:06d}.json"
    data = _sealed(event, *signers)
    try:
        store.create(key, data)
    except FileExistsError:
        # A request whose answer was lost, sent again, meets its own first try.
        if store.read(key)[0] != data:
            raise Refusal(
                f"{store.url}/{key}: someone else changed the keys in this moment; nothing was written. See "
                "`slipway keys list`, then run this again if it is still wanted"
            ) from None
    return key


def _last(ring: keyring.Keyring) -> str | None:
    return sha256_bytes(ring.log[-1]) if ring.log else None


def _time(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).isoformat(timespec="seconds")
