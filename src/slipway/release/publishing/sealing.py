"""Sealing: the bundle becomes a signed directory, ready to be published as it is.

An attempt that was interrupted may have published its statement and signature already. Those bytes cannot be made
again (they hold a time and a random number), so they are taken up instead.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import Refusal, UserError
from slipway.files import copy_tree, sha256_bytes, write_atomic
from slipway.release import rendered, statement
from slipway.release.publishing import noted
from slipway.release.publishing.claim import Claim
from slipway.release.publishing.pointer import release_prefix
from slipway.release.reading.reader import Reader
from slipway.release.reading.verify import MANIFEST, listed_files
from slipway.release.signing import signature
from slipway.release.signing.keys import public_of

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

Compose = Callable[[statement.Identity], bytes]


def seal_release(
    store: Reader,
    claim: Claim,
    bundle: Path,
    work: Path,
    signer: "Signer",
    *,
    predecessor: str | None,
    compose: Compose,
) -> Path:
    """Stage the bundle below `work` with statement, its pages and signature; returns the staged directory.

    Args:
        store: where the release will lie; asked for what an interrupted attempt left.
        claim: the version that belongs to this bundle.
        bundle: the bundle's directory.
        work: folder of this bundle's release, kept between attempts.
        signer: of this project.
        predecessor: manifest digest of the release that the channel holds.
        compose: makes the signed statement for an identity.

    Raises:
        Refusal: if the bundle is not as its manifest says, or what lies in the store was not signed by this key.
    """
    staged = work / "staged" / f"{claim.name}-{claim.version}"
    copies = copy_tree(bundle, staged)
    manifest = (staged / MANIFEST).read_bytes()
    if sha256_bytes(manifest) != claim.manifest_sha256:
        raise Refusal(f"{bundle / MANIFEST}: changed while it was being released; run `slipway release` again")
    identity = statement.Identity(**claim.model_dump(), predecessor=predecessor)
    public = public_of(signer)
    # Asked for before the statement, which is published first: who finds a signature finds what it was made over.
    signed = _published(store, claim.name, claim.version, signature.NAME)
    stated = _statement(store, identity, work, public, compose)
    write_atomic(staged / statement.NAME, stated)
    expected = listed_files(manifest) | {
        MANIFEST: claim.manifest_sha256,
        statement.NAME: sha256_bytes(stated),
    }
    # From the statement, not from ledger and verdict as they are now: an earlier attempt may have published it.
    _, content = statement.read(stated, public)
    for name, page in rendered.render(content, statement.NAME).items():
        write_atomic(staged / name, page)
        expected[name] = sha256_bytes(page)
    _signature(signed, staged, signer, expected, hashed={path: copy.sha256 for path, copy in copies.items()})
    noted.write(staged, copies)
    return staged


def discard(work: Path) -> None:
    """Remove what was staged below `work`; `seal_release` makes it again from the bundle and what was published."""
    shutil.rmtree(work / "staged", ignore_errors=True)


def _published(store: Reader, name: str, version: str, file: str) -> bytes | None:
    try:
        return store.read(f"{release_prefix(name, version)}/{file}")[0]
    except FileNotFoundError:
        return None


def _statement(store: Reader, identity: statement.Identity, work: Path, public: bytes, compose: Compose) -> bytes:
    """The published statement, else the one an earlier attempt kept if it says the same, else a new one."""

    def unlike(data: bytes, what: str) -> str | None:
        try:
            found, _ = statement.read(data, public, what)
        except Refusal as refusal:
            return str(refusal)
        same = found.model_copy(update={"predecessor": identity.predecessor}) == identity
        return None if same else f"{what}: a statement about {found.name} {found.version}, not about this bundle"

    data = _published(store, identity.name, identity.version, statement.NAME)
    if data is not None:
        if fault := unlike(data, f"{store.url}/{release_prefix(identity.name, identity.version)}/{statement.NAME}"):
            raise Refusal(f"{fault}. Someone else wrote there; raise release.version in params.yaml")
        return data
    kept = work / statement.NAME
    if kept.is_file() and unlike(kept.read_bytes(), str(kept)) is None:
        return kept.read_bytes()
    data = compose(identity)
    write_atomic(kept, data)
    return data


def _signature(
    data: bytes | None, staged: Path, signer: "Signer", expected: dict[str, str], *, hashed: dict[str, str]
) -> None:
    """Put a signature over exactly `expected` into `staged`: the published one (`data`), else a new one.

    What it covers is compared with the manifest.
    """
    if data is None:
        data = signature.sign(staged, signer, hashed).read_bytes()
    else:
        write_atomic(staged / signature.NAME, data)
    covered = signature.read(data, public_of(signer), str(staged / signature.NAME))
    for name in sorted(covered.keys() | expected.keys()):
        if covered.get(name) != expected.get(name):
            (staged / signature.NAME).unlink()
            raise Refusal(
                f"{staged / name}: sha256 is {covered.get(name)}, but {expected.get(name)} belongs there; the bundle "
                "was altered after it was made. Rebuild it with `slipway build --force bundle`"
            )


def staged_directory(work: Path, claim: Claim) -> Path:
    """Where `seal_release` left the signed directory; raises UserError if it is gone."""
    staged = work / "staged" / f"{claim.name}-{claim.version}"
    if not (staged / signature.NAME).is_file():
        raise UserError(f"{staged}: the signed directory is gone; run `slipway release` again")
    return staged
