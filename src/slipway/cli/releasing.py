"""`slipway gate`, `release` and `verify`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from slipway.cli.common import become, project
from slipway.errors import Refusal, UserError

if TYPE_CHECKING:
    from slipway.adapters.hub import HubReader
    from slipway.adapters.store import LocalStore, S3Store
    from slipway.release.reading.verify import Verified
    from slipway.release.signing.certificates import Vouched


class Found(NamedTuple):
    """A verified release and where it lies."""

    store: "LocalStore | S3Store | HubReader"
    prefix: str
    """Of its keys in the store."""
    verified: "Verified"
    public: bytes
    """A key of the publisher, PEM; the key log of the store leads from it to the one that signed."""


def find(
    reference: str, key: str | None, *, log: str | None = None, chain: str | None = None, identity: str | None = None
) -> Found:
    """Verify the release that `reference` names: a directory, s3://…, hub://…, NAME or NAME@VERSION.

    Args:
        reference: as on the command line.
        key: file of the public key; None for the project's own.
        log: copy of the key log, for a directory outside of a store.
        chain: file of the authorities' certificates, instead of a key.
        identity: whom the certificate must be of.
    """
    from slipway.adapters.store import open_store
    from slipway.recipe import load
    from slipway.release.publishing.pointer import release_prefix
    from slipway.release.reading import source, verify
    from slipway.release.signing import keyring

    events = keyring.load_copy(log) if log else ()
    place = _place(reference)
    store: LocalStore | S3Store | HubReader
    if place is None:
        root = project()
        store, channel = open_store(root=root), load(root / "params.yaml").release.channel
        name, _, version = reference.partition("@")
        at = version or (_named(store, name, channel) if chain else "")
        public, vouched = _anchor(store, release_prefix(name, at), key, chain, identity)
        verified = source.Releases(lambda: store, lambda: public, channel, log=events).find(reference)
        prefix = release_prefix(verified.release.name, verified.release.version)
    else:
        store, prefix = place
        public, vouched = _anchor(store, prefix, key, chain, identity)
        verified = verify.verify(store, prefix, public, log=events)
    if vouched:
        vouched.check_time(verified.signed_at, verified.uri)
        who = ", ".join(vouched.identities) or vouched.subject
        verified = verified.model_copy(update={"certificate": who})
    return Found(store, prefix, verified, public)


def _place(reference: str) -> "tuple[LocalStore | S3Store | HubReader, str] | None":
    """Store and prefix that an address or a directory names; None for NAME and NAME@VERSION.

    A directory that lies in a store is taken as the store's, so that its key log is followed.
    """
    from slipway.adapters.hub import open_hub
    from slipway.adapters.store import LocalStore, open_store
    from slipway.release.signing import keyring

    if reference.startswith("s3://"):
        bucket, _, prefix = reference.removeprefix("s3://").partition("/")
        return open_store(f"s3://{bucket}"), prefix
    if reference.startswith("hub://"):
        return open_hub(reference), ""
    if Path(reference).is_dir():
        parts = Path(reference).resolve().parts
        top = Path(*parts[:-3])
        if parts[-3:-2] == ("releases",) and (top / keyring.FOLDER).is_dir():
            return LocalStore(top), "/".join(parts[-3:])
        return LocalStore(reference), ""
    if "/" in reference:
        raise UserError(
            f"{reference}: no such directory; name a release directory, s3://…, hub://…, NAME or NAME@VERSION"
        )
    return None


def _anchor(
    store: "LocalStore | S3Store | HubReader", prefix: str, key: str | None, chain: str | None, identity: str | None
) -> "tuple[bytes, Vouched | None]":
    """The key to begin with: the one given, the project's own, or that of a certificate that holds."""
    from slipway.release.signing import certificates, keys, signature

    if chain is None:
        if identity is not None:
            raise UserError("--identity names whom a certificate is of; give the authorities with --certificate-chain")
        return keys.read_public(key) if key else keys.public_key(project()), None
    if key is not None:
        raise UserError("--key and --certificate-chain: which of the two is to be trusted? Give one")
    at = f"{prefix.strip('/')}/{signature.NAME}".lstrip("/")
    try:
        data = store.read(at)[0]
    except FileNotFoundError:
        raise Refusal(f"{store.url}/{at}: missing; this is no complete release") from None
    vouched = certificates.vouched(data, chain, f"{store.url}/{at}", identity)
    return vouched.public, vouched


def _named(store: "LocalStore | S3Store", name: str, channel: str) -> str:
    """The version that a pointer speaks of, to read a certificate from; that pointer is checked afterwards."""
    from slipway.release.publishing.pointer import pointer_key
    from slipway.release.signing.envelope import claimed

    at = pointer_key(name, channel)
    try:
        return str(claimed(store.read(at)[0], f"{store.url}/{at}").get("version"))
    except FileNotFoundError:
        raise Refusal(f"{store.url}/{at}: the pointer is missing; nothing was released on this channel") from None


def release(arguments: argparse.Namespace) -> int:
    """Build, then gate, approve, sign, register, publish and verify.

    Builds what is stale and releases the bundle to the store (SLIPWAY_STORE: a directory or
    s3://bucket/prefix; default .slipway/store). Every step is idempotent; after a crash, run it again.
    """
    become(project(), "flows.release_console", *(["--no-build"] if arguments.no_build else []))


def gate(arguments: argparse.Namespace) -> int:
    """Judge the bundle as it lies, without releasing it.

    Scans bundle/, compares it with its base and with the release that the channel names, and prints every line of the
    recipe's policy with what to do. Exit code 0 for GO, 1 for NO-GO and for INCONCLUSIVE; see docs/gate.md.
    """
    out = ["--json", str(Path(arguments.json).absolute())] if arguments.json else []
    become(project(), "flows.gate_console", *out)


def verify_options(parser: argparse.ArgumentParser) -> None:
    """What `slipway verify` takes."""
    parser.add_argument("release", metavar="RELEASE", help="directory, s3:// or hub:// address, NAME or NAME@VERSION")
    parser.add_argument("--key", metavar="FILE", help="public key (PEM); default: this project's own")
    parser.add_argument("--keys", metavar="PATH", help="copy of the key log (from `slipway keys export`)")
    parser.add_argument("--certificate-chain", metavar="FILE", help="authorities to trust (PEM), instead of a key")
    parser.add_argument("--identity", metavar="NAME", help="mailbox, URI or host that the certificate must be of")
    parser.add_argument("--json", metavar="OUT", help="write what was proved to this file")


def verify(arguments: argparse.Namespace) -> int:
    """Check signature, statement and every byte of a release.

    RELEASE is a directory (any plain copy of a release), s3://bucket/prefix/releases/NAME/VERSION, or
    NAME or NAME@VERSION in the store. Needs the public key, or an authority's certificate, and no network for a
    directory. The key may be an older one of the publisher: docs/keys.md.
    """
    found = find(
        arguments.release, arguments.key, log=arguments.keys, chain=arguments.certificate_chain,
        identity=arguments.identity,
    ).verified  # fmt: skip
    if arguments.json:
        Path(arguments.json).write_text(found.to_json(), "utf-8")
    print(_told(found))
    return 0


def _told(found: "Verified") -> str:
    """What was proved, for people."""
    release = found.release
    before = f"manifest {release.predecessor[:16]}…" if release.predecessor else "no release, it is the first"
    state = {True: ", with changes that were not committed", False: "", None: ""}[found.dirty]
    rows = {
        "certificate": found.certificate,
        "key log": f"{found.key_events} events followed" if found.key_events else None,
        "signed at": f"{found.signed_at} (as signed, not proved)" if found.signed_at else None,
        "gate": found.gate or "not stated",
        "approvals": found.approvals or "not stated",
        "commit": f"{found.commit}{state}" if found.commit else "not stated",
        "follows": before,
        "manifest": release.manifest_sha256,
    }
    lines = [
        f"{release.name} {release.version} (release {release.sequence}): verified",
        found.uri,
        f"{found.files} files, {found.bytes:,} bytes, each as signed by key {found.signed_by[:16]}…",
        *(f"  {name:<12} {value}" for name, value in rows.items() if value),
    ]
    return "\n".join(lines)
