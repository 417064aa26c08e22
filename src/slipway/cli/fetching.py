"""`slipway fetch` and `slipway releases`."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.cli.common import project
from slipway.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.adapters.store import LocalStore, S3Store
    from slipway.release.reading.fetch import Fetched


def fetch(arguments: argparse.Namespace) -> int:
    """Download a release and verify every byte of it.

    Fetches what the channel names, or NAME@VERSION, into DIR (default: NAME-VERSION). DIR appears when it is whole and
    verified, and not before; run it again after an interruption and it carries on. An earlier fetch in DIR is brought
    up to date; what lies there or in NAME-* beside it is not sent again. Withdrawn, expired, replayed and rolled-back
    releases are refused. Works without a project: name --store and --key. See docs/fetching.md.
    """
    from slipway.progress import Transfer
    from slipway.release.reading.fetch import fetch as bring

    name, _, version = arguments.release.partition("@")
    if not name or "/" in arguments.release or (version == "" and "@" in arguments.release):
        raise UserError(f"{arguments.release}: names no release; write NAME or NAME@VERSION")
    # Not resolved: a link in the place of the directory is refused, not followed.
    target = Path(os.path.abspath(arguments.directory)) if arguments.directory else None  # noqa: PTH100
    place = target or (lambda version: Path.cwd() / f"{name}-{version}")
    shown: list[Transfer] = []

    def begin(total: int) -> "Callable[[int], None]":
        if arguments.json:
            return lambda _: None
        shown.append(Transfer("fetch", total))
        return shown[0]

    store = _store(arguments.store)
    try:
        found = bring(
            store, name, version or None, place, _public(arguments.key), channel=arguments.channel or _channel(),
            begin=begin, beside=sorted((target.parent if target else Path.cwd()).glob(f"{name}-*")),
        )  # fmt: skip
    except KeyboardInterrupt:
        print("slipway fetch: interrupted; what arrived is kept, run it again to carry on", file=sys.stderr, flush=True)
        return 130
    for transfer in shown:
        transfer.end()
    print(found.to_json() if arguments.json else _told(found), end="" if arguments.json else "\n", flush=True)
    return 0


def _told(found: "Fetched") -> str:
    """What was fetched, for people."""
    where = f" (channel {found.channel})" if found.channel else ""
    parts = [f"{found.sent:,} fetched"]
    parts += [f"{found.taken_up:,} from an interrupted fetch"] if found.taken_up else []
    parts += [f"{found.reused:,} were here"] if found.reused else []
    lines = [
        f"{found.name} {found.version}{where}: verified, {found.files} files in {found.seconds:.1f} s",
        f"{found.bytes:,} bytes: {', '.join(parts)}",
        f"signed by key {found.signed_by[:16]}…",
        found.directory if found.state != "unchanged" else f"{found.directory} (as it was)",
    ]
    return "\n".join(lines)


def releases(arguments: argparse.Namespace) -> int:
    """List the releases of a store and what became of them.

    Shows every version of NAME (default: all names), whether it was released or withdrawn, and which channels name it.
    It reads pointers and tombstones, and verifies their signatures; the bytes of a release `slipway verify` checks.
    Exit code 1 if a pointer or a tombstone does not hold.
    """
    from slipway.release.withdrawal.shelf import names, versions

    store, public = _store(arguments.store), _public(arguments.key)
    entries, faults = [], []
    for name in [arguments.name] if arguments.name else names(store):
        found, wrong = versions(store, name, public)
        if arguments.name and not found and not wrong:
            raise UserError(
                f"{store.url}: nothing is released as {name}; there are: {', '.join(names(store)) or 'none'}"
            )
        entries += found
        faults += wrong
    if arguments.json:
        document = {"releases": [entry.model_dump(mode="json") for entry in entries], "faults": faults}
        print(json.dumps(document, indent=2))
        return 1 if faults else 0
    width = max((len(f"{entry.name} {entry.version}") for entry in entries), default=0)
    for entry in entries:
        told = " ".join(filter(None, (", ".join(entry.channels), entry.note)))
        print(f"{f'{entry.name} {entry.version}':<{width}}  {entry.state:<10}  {told}".rstrip())
    if not entries and not faults:
        print(f"{store.url}: nothing was released here yet")
    for fault in faults:
        print(f"slipway releases: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _store(url: str | None) -> "LocalStore | S3Store":
    """The store that was named, else the project's."""
    from slipway.adapters.store import open_store

    try:
        root = project()
    except UserError as error:
        if not (url or os.environ.get("SLIPWAY_STORE")):
            raise UserError(f"{error}; or name a store with --store (s3://bucket/prefix or a directory)") from None
        root = Path()
    return open_store(url) if url else open_store(root=root)


def _public(path: str | None) -> bytes:
    """The key that was named, else the project's."""
    from slipway.release.signing import keys

    if path:
        return keys.read_public(path)
    try:
        return keys.public_key(project())
    except UserError as error:
        raise UserError(f"{error}; or name the publisher's public key with --key") from None


def _channel() -> str:
    """The project's channel; `stable` outside of one."""
    from slipway.recipe import load

    try:
        root = project()
    except UserError:
        return "stable"
    return load(root / "params.yaml").release.channel
