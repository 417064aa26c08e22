"""`slipway keys`: which key signs, changing it, and saying that one is not trusted any more."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.cli.common import project
from slipway.errors import UserError

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from slipway.adapters.store import LocalStore, S3Store

NEXT = "release-next.key"
"""The new key of a project's own, until the rotation is done."""


def options(parser: argparse.ArgumentParser) -> None:
    """The commands below `slipway keys`."""
    parser.set_defaults(action=None)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    made = {
        name: actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {text}")
        for name, summary, text in (
            ("list", "show the keys of the store and what each may stand for", "Follows the key log from your key."),
            (
                "rotate",
                "put a new key in the place of the present one",
                "Both keys sign the change; what the old one signed stays good, but no more of it. All channels "
                "are signed anew. If it is interrupted, run it again.",
            ),
            (
                "revoke",
                "say that a key is not trusted any more",
                "What it signed is refused from then on, but for the releases named with --trust. Cannot be undone. "
                "To revoke the present key, rotate first.",
            ),
            ("export", "write a copy of the key log for verifiers who are offline", "They give it with --keys."),
        )
    }
    for name in ("list", "export"):
        made[name].add_argument("--key", metavar="FILE", help="public key (PEM); default: this project's own")
        made[name].add_argument(
            "--store", metavar="URL", help="directory or s3://bucket/prefix; default: the project's"
        )
    made["rotate"].add_argument(
        "--new",
        metavar="KEY",
        help="file (made if missing) or pkcs11:…; not needed if the key is the project's own",
    )
    made["rotate"].add_argument(
        "--leave-unfinished", action="store_true", help="rotate though a release has begun; it is lost by it"
    )
    made["revoke"].add_argument("revoked", metavar="KEY", help="sha256 as in `slipway keys list`, 8 digits or more")
    made["revoke"].add_argument("--reason", required=True, metavar="TEXT", help="for those who verify")
    made["revoke"].add_argument(
        "--trust", nargs="+", default=[], metavar="NAME@VERSION", help="releases of it that stay good; verified first"
    )
    made["revoke"].add_argument("--last", action="store_true", help="revoke the present key too: the end of this store")
    made["export"].add_argument("out", metavar="OUT", help="file to write")
    for name, function in (("list", _list), ("rotate", _rotate), ("revoke", _revoke), ("export", _export)):
        made[name].set_defaults(action=function)


def keys(arguments: argparse.Namespace) -> int:
    """Show, change and revoke the keys that releases are signed with.

    Every change is an event in the store, signed and written once; a verifier follows them from the key he was given.
    See docs/keys.md.
    """
    if arguments.action is None:
        raise UserError("which of list, rotate, revoke, export? See `slipway keys --help`")
    done: int = arguments.action(arguments)
    return done


def _seen(arguments: argparse.Namespace) -> "tuple[LocalStore | S3Store, bytes]":
    """Store and key that a reader named, else those of the project."""
    from slipway.adapters.store import open_store
    from slipway.release.signing import keys as signing

    store = open_store(arguments.store) if arguments.store else open_store(root=project())
    return store, signing.read_public(arguments.key) if arguments.key else signing.public_key(project())


def _list(arguments: argparse.Namespace) -> int:
    from slipway.files import sha256_bytes
    from slipway.release.signing import keyring

    store, public = _seen(arguments)
    ring = keyring.read(store, public)
    print(f"{store.url}: {len(ring.events)} key events")
    for key in ring.keys:
        name = sha256_bytes(key)
        if found := ring.revoked.get(name):
            what = f"revoked {found.time}: {found.reason}"
            what += f" (still good: {', '.join(sorted(found.trusted)) or 'nothing'})"
        elif end := ring.retired.get(name):
            what = f"retired {end.time}; stands for {', '.join(sorted(end.signed)) or 'no release'}"
        else:
            what = "signs now"
        print(f"{name}  {what}{'  <- yours' if key == public else ''}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    import json

    from slipway.files import write_atomic
    from slipway.release.signing import keyring

    store, public = _seen(arguments)
    ring = keyring.read(store, public)
    write_atomic(arguments.out, json.dumps([json.loads(data) for data in ring.log], indent=2, sort_keys=True) + "\n")
    print(f"{len(ring.log)} key events written to {arguments.out}; verify with `--keys {arguments.out}`")
    return 0


def _present(root: Path) -> "tuple[Signer, Path | None]":
    """The signer of now, and the project's own key file if it is that; makes none."""
    from slipway.release.signing import keys as signing

    if (found := signing.outside()) is not None:
        return found, None
    if named := signing.named_file(root):
        return signing.file_signer(named), None
    own = root / signing.FOLDER / "release.key"
    if not own.is_file():
        raise UserError(f"{own}: no key yet, so there is none to change; `slipway release` makes one")
    return signing.file_signer(own), own


def _new(named: str | None, own: Path | None) -> "Signer":
    from slipway.release.signing import keys as signing

    if named and named.startswith("pkcs11:"):
        from slipway.release.signing.pkcs11 import TokenSigner

        return TokenSigner(named)
    if named is None and own is None:
        raise UserError("the key that signs is not the project's own; name the new one: --new FILE or pkcs11:…")
    path = Path(named) if named else own.with_name(NEXT)  # type: ignore[union-attr]
    if not path.exists():
        signing.generate(path)
    return signing.file_signer(path)


def _rotate(arguments: argparse.Namespace) -> int:
    from slipway.adapters.store import open_store
    from slipway.files import sha256_bytes
    from slipway.release.journal import release_lock
    from slipway.release.signing import keys as signing
    from slipway.release.signing.rotation import rotate

    root = project()
    store = open_store(root=root)
    with release_lock(root):
        old, own = _present(root)
        new = _new(arguments.new, own)
        done = rotate(store, old, new, unfinished=arguments.leave_unfinished)
        was, now = (sha256_bytes(signing.public_of(one)) for one in (old, new))
        if own is not None:
            _take_over(own, new, was, arguments.new)
    print(f"key {now} signs from now on\nkey {was} is retired; {done.signed} releases that it signed stay good")
    print(f"event {done.event} in {store.url}; channels signed anew: {', '.join(done.channels) or 'none'}")
    for label in done.left_out:
        print(f"left out: the signature of {label} does not hold, so it is not good; see `slipway verify {label}`")
    if own is not None and not arguments.new:
        print(f"private key: {own}; the old one is kept as {own.name}.retired-{was[:8]}: take it off this machine")
        print(f"hand to verifiers: {own.with_suffix('.pub')}")
    else:
        print(f"set SLIPWAY_KEY={arguments.new or '…'} from now on, and take the old private key off this machine")
    print("those who have the old public key can go on with it, but get them the new one: see docs/keys.md")
    return 0


def _take_over(own: Path, new: "Signer", was: str, named: str | None) -> None:
    """The new key in the place of the project's own, and the old one kept beside it.

    The last step is the one that counts, so that whoever was interrupted runs the same again. A key that lies elsewhere
    is named by SLIPWAY_KEY; the old file stays then, and whoever signs with it by mistake is told.
    """
    from slipway.files import write_atomic
    from slipway.release.signing import keys as signing

    write_atomic(own.with_suffix(".pub"), signing.public_of(new))
    if named is None:
        kept = own.with_name(f"{own.name}.retired-{was[:8]}")
        if not kept.exists():
            os.link(own, kept)
        own.with_name(NEXT).with_suffix(".pub").unlink(missing_ok=True)
        own.with_name(NEXT).replace(own)


def _revoke(arguments: argparse.Namespace) -> int:
    from slipway.adapters.store import open_store
    from slipway.files import sha256_bytes
    from slipway.release.journal import release_lock
    from slipway.release.publishing.pointer import release_prefix
    from slipway.release.reading.verify import verify
    from slipway.release.signing import keyring, rotation
    from slipway.release.signing import keys as signing

    root = project()
    store = open_store(root=root)
    with release_lock(root):
        signer, _ = _present(root)
        public = signing.public_of(signer)
        known = [sha256_bytes(key) for key in keyring.read(store, public).keys]
        fitting = [name for name in known if len(arguments.revoked) >= 8 and name.startswith(arguments.revoked.lower())]
        if len(fitting) != 1:
            raise UserError(f"{arguments.revoked}: fits {len(fitting)} keys of {store.url}; see `slipway keys list`")
        trusted = {}
        for label in arguments.trust:
            name, _, version = label.partition("@")
            held = verify(store, release_prefix(name, version), public)
            if held.signed_by != fitting[0]:
                raise UserError(f"{label}: signed by key {held.signed_by[:16]}…, not by the one that is revoked")
            trusted[label] = rotation.signature_digest(store, name, version)
        event = rotation.revoke(
            store, signer, fitting[0], reason=arguments.reason, trusted=trusted, last=arguments.last
        )
    print(f"key {fitting[0]} is revoked: {arguments.reason}\nevent {event} in {store.url}")
    print(f"still good of what it signed: {', '.join(sorted(trusted)) or 'nothing'}")
    print("verifiers who are offline need the key log anew: slipway keys export OUT")
    return 0
