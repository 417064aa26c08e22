"""What a store holds: the versions of a name, what became of each, and which channels name it."""

from typing import Literal

from slipway.errors import Refusal
from slipway.records import Record
from slipway.release.bundle import manifest
from slipway.release.publishing import claim as claiming
from slipway.release.publishing.pointer import channels, read_pointer, release_prefix
from slipway.release.reading.reader import Reader
from slipway.release.withdrawal import tombstone


class Entry(Record):
    """A version that somebody claimed. Its bytes were not looked at: `slipway verify` does that."""

    name: str
    version: str
    sequence: int
    state: Literal["released", "withdrawn", "unfinished"]
    """`unfinished`: its files are not all there yet; nobody can use it."""
    channels: tuple[str, ...]
    """That name it."""
    holds: bool
    """False if there is a tombstone that is not signed as it should be."""
    note: str
    """Why it was withdrawn, or what does not hold; empty otherwise."""


def names(store: Reader) -> list[str]:
    """Every name under which something was claimed."""
    return sorted({key.split("/")[1] for key in store.list(claiming.FOLDER) if key.count("/") >= 2})


def versions(store: Reader, name: str, public: bytes) -> tuple[list[Entry], list[str]]:
    """The versions of a name, oldest first; and what does not hold of its claims (told first), channels, tombstones."""
    present, log = set(store.list(f"releases/{name}")), claiming.examine(store, name, public)
    faults = list(log.faults)
    named: dict[str, list[str]] = {}
    for channel in channels(store, name):
        try:
            pointer = read_pointer(store, name, channel, public)
        except Refusal as fault:
            faults.append(str(fault))
            continue
        named.setdefault(pointer.version or "", []).append(channel)
    if "" in named:
        faults.append(f"{', '.join(named[''])} of {name}: names no release; what it named was withdrawn")
    entries = []
    for claim in log.claims:
        prefix, note, holds = release_prefix(name, claim.version), "", True
        state: Literal["released", "withdrawn", "unfinished"] = "released"
        if f"{prefix}/{manifest.NAME}" not in present:
            state = "unfinished"
        if tombstone.key_of(prefix) in present:
            state = "withdrawn"
            try:
                found = tombstone.at(store, prefix, public)
                note = found.reason if found else ""
            except Refusal as fault:
                note, holds = str(fault), False
        entries.append(
            Entry(
                name=name,
                version=claim.version,
                sequence=claim.sequence,
                state=state,
                channels=tuple(named.get(claim.version, ())),
                holds=holds,
                note=note,
            )
        )
    faults += [entry.note for entry in entries if not entry.holds]
    return entries, faults
