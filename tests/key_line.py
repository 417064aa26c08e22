"""A store and the keys that follow one another in it, and what a thief of one of them can do."""

from slipway.adapters.store import LocalStore
from slipway.files import sha256_bytes
from slipway.release.signing import envelope, keyring, keys, rotation
from tests import release_project


class Line:
    """A site with one release, and the keys that follow its own."""

    def __init__(self, site, folder):
        self.site, self.folder = site, folder
        site.release()
        self.first = site.signer
        self.signers = [self.first]

    @property
    def store(self) -> LocalStore:
        return self.site.store

    @property
    def publics(self) -> list[bytes]:
        return [keys.public_of(signer) for signer in self.signers]

    def fresh(self):
        path = release_project.key_pair(self.folder / f"{len(list(self.folder.glob('*.key')))}.key")
        return keys.file_signer(path)

    def rotate(self, **options) -> rotation.Rotated:
        new = self.fresh()
        done = rotation.rotate(self.store, self.signers[-1], new, **options)
        self.signers.append(new)
        return done

    def release(self, monkeypatch) -> None:
        """Another release, with the present key."""
        path = next(p for p in self.folder.glob("*.key") if keys.public_pem(p) == self.publics[-1])
        monkeypatch.setenv("SLIPWAY_KEY", str(path))
        release_project.bundle(self.site.root, card=f"# Card {len(self.signers)} {path.name}\n")
        self.site.release()


def id_of(public: bytes) -> str:
    return sha256_bytes(public)


def forge(signers, **values) -> bytes:
    event = {"event": "rotate", "number": 1, "previous": None, "time": "2026-01-01T00:00:00+00:00", "signed": {}}
    return envelope.seal(event | values, keyring.TYPE, *signers)


def pem(signer) -> str:
    return keys.public_of(signer).decode()


def resign(directory, signer, **changes) -> None:
    """What a thief of a key can do: manifest, statement and signature of his own over a release directory."""
    from slipway.release import statement
    from slipway.release.bundle import manifest
    from slipway.release.signing import signature

    beside = {name: (directory / name).read_bytes() for name in ("statement.json", "model.sig", "GATE.html")}
    for name in beside:
        (directory / name).unlink()
    digest = manifest.write(directory, "tiny")
    content = envelope.claimed(beside["statement.json"], "statement")
    release = content["predicate"]["buildDefinition"]["externalParameters"]["release"]
    release |= {"manifest_sha256": digest, **changes}
    content["subject"][0]["digest"]["sha256"] = digest
    (directory / "statement.json").write_bytes(envelope.seal(content, signature.IN_TOTO, signer))
    (directory / "GATE.html").write_bytes(beside["GATE.html"])
    signature.sign(directory, signer)
    assert statement.read((directory / "statement.json").read_bytes(), keys.public_of(signer))
