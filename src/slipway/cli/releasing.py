"""`slipway gate`, `release`, `approve` and `verify`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from slipway.cli.common import become, project
from slipway.errors import UserError

if TYPE_CHECKING:
    from slipway.adapters.store import LocalStore, S3Store
    from slipway.release.verify import Verified


class Found(NamedTuple):
    """A verified release and where it lies."""

    store: "LocalStore | S3Store"
    prefix: str
    """Of its keys in the store."""
    verified: "Verified"
    public: bytes
    """The key that signed it, PEM."""


def find(reference: str, key: str | None) -> Found:
    """Verify the release that `reference` names: a directory, s3://…, NAME or NAME@VERSION.

    Args:
        reference: as on the command line.
        key: file of the public key; None for the project's own.
    """
    from slipway.adapters.store import LocalStore, open_store
    from slipway.recipe import load
    from slipway.release import keys, source, verify
    from slipway.release.pointer import release_prefix

    public = keys.read_public(key) if key else keys.public_key(project())
    if reference.startswith("s3://"):
        bucket, _, prefix = reference.removeprefix("s3://").partition("/")
        remote = open_store(f"s3://{bucket}")
        return Found(remote, prefix, verify.verify(remote, prefix, public), public)
    if Path(reference).is_dir():
        local = LocalStore(reference)
        return Found(local, "", verify.verify(local, "", public), public)
    if "/" in reference:
        raise UserError(f"{reference}: no such directory; name a release directory, s3://…, NAME or NAME@VERSION")
    root = project()
    store, channel = open_store(root=root), load(root / "params.yaml").release.channel
    verified = source.Releases(lambda: store, lambda: public, channel).find(reference)
    return Found(store, release_prefix(verified.release.name, verified.release.version), verified, public)


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


def approve(arguments: argparse.Namespace) -> int:
    """Sign your approval of the bundle as it is now.

    Signs the digest of bundle/ with your own key. A changed byte voids the approval. Who may approve,
    and how many must, is in the recipe under release.approval.
    """
    from slipway.release.approval import approve as sign_approval
    from slipway.release.bundle import manifest

    root = project()
    manifest.check(root / "bundle")
    digest = manifest.digest(root / "bundle")
    path = sign_approval(root, digest, arguments.name, Path(arguments.key))
    print(f"{arguments.name} approves bundle {digest}\nsigned: {path}")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check signature, statement and every byte of a release.

    RELEASE is a directory (any plain copy of a release), s3://bucket/prefix/releases/NAME/VERSION, or
    NAME or NAME@VERSION in the store. Needs the public key and no network for a directory.
    """
    found = find(arguments.release, arguments.key).verified
    release = found.release
    print(f"{release.name} {release.version} (release {release.sequence}): verified\n{found.uri}")
    print(f"{found.files} files, {found.bytes:,} bytes, each as signed by key {found.signed_by[:16]}…")
    return 0
