"""`slipway countersign`."""

import argparse
from pathlib import Path

from slipway.errors import UserError


def options(parser: argparse.ArgumentParser) -> None:
    """What `slipway countersign` takes."""
    parser.add_argument("release", metavar="DIRECTORY", help="a release, e.g. from `slipway fetch`")
    parser.add_argument("bundle", metavar="FILE", help="the counter-signature, outside of the release")
    parser.add_argument("--check", action="store_true", help="look at FILE instead of making it")
    parser.add_argument("--identity", metavar="NAME", help="with --check: who must have signed, e.g. a mailbox")
    parser.add_argument("--issuer", metavar="URL", help="with --check: who must vouch for the identity")
    parser.add_argument(
        "--trust-config",
        metavar="TRUST",
        help="a Sigstore of your own (ClientTrustConfig, JSON), with whose roots --check needs no network; "
        "default: the public one",
    )


def countersign(arguments: argparse.Namespace) -> int:
    """Sign a release with an identity too, by Sigstore, or check that.

    Needs network and an OpenID Connect token (SLIPWAY_IDENTITY_TOKEN, or a build service that hands one out). The
    release itself stands by its key and is not changed; verify that first with `slipway verify`. See docs/keys.md.
    """
    from slipway.release.signing import keyless

    directory, bundle = Path(arguments.release), Path(arguments.bundle)
    trust = Path(arguments.trust_config) if arguments.trust_config else None
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; `slipway fetch` brings a release there")
    if not arguments.check:
        if arguments.identity or arguments.issuer:
            raise UserError("--identity and --issuer go with --check; who signs, the token says")
        signed = keyless.countersign(directory, bundle, trust)
        print(f"{bundle}: signed by {signed.identity}, says {signed.issuer}; entry {signed.entry} of the log")
        return 0
    if not (arguments.identity and arguments.issuer):
        raise UserError("--check asks for --identity and --issuer: a signature by anybody says nothing")
    keyless.check(directory, bundle, arguments.identity, arguments.issuer, trust)
    print(f"{directory}: every file as signed by {arguments.identity}, says {arguments.issuer}")
    return 0
