"""`slipway keys` and `slipway verify` as commands: what they print, write and leave behind."""

import json
import re
import shutil
import stat

import pytest

from slipway import cli
from slipway.files import sha256_bytes
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project


@pytest.fixture
def home(site, monkeypatch):
    """The site's project as working directory, with its store."""
    monkeypatch.setenv("SLIPWAY_STORE", str(site.store.root))
    monkeypatch.chdir(site.root)
    site.release()
    return site


def again(site, card: str):
    release_project.bundle(site.root, card=card)
    return site.release()


def test_rotating_the_projects_own_key(home, capsys):
    folder = home.root / ".slipway" / "keys"
    old, old_pem = home.public, home.key.read_bytes()
    assert cli.main(["keys", "rotate"]) == 0
    printed = capsys.readouterr().out
    kept = folder / f"release.key.retired-{sha256_bytes(old)[:8]}"
    assert kept.read_bytes() == old_pem
    assert sorted(path.name for path in folder.iterdir()) == sorted(["release.key", "release.pub", kept.name])
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home.key, kept)} == {0o600}
    assert (folder / "release.pub").read_bytes() == home.public != old
    assert f"key {sha256_bytes(home.public)} signs from now on" in printed
    assert "hand to verifiers" in printed
    assert again(home, "# Second\n").version == "v2"
    for anchor in (old, home.public):
        assert verify.verify_channel(home.store, "tiny", "stable", anchor).release.version == "v2"
    assert cli.main(["keys", "list"]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"{sha256_bytes(old)}  retired .*; stands for tiny@v1\n", printed)
    assert re.search(rf"{sha256_bytes(home.public)}  signs now  <- yours", printed)


@pytest.mark.parametrize("crash", ["event", "pointers", "public half", "link"])
def test_a_rotation_that_died_anywhere_is_finished_by_the_next(home, monkeypatch, crash):
    from slipway import files
    from slipway.cli import keying
    from slipway.release.signing import rotation

    def die(*_, **__):
        raise KeyboardInterrupt

    places = {
        "event": (rotation, "_append"),
        "pointers": (rotation, "swap_pointer"),
        "public half": (files, "write_atomic"),
        "link": (keying.os, "link"),
    }
    if crash in ("public half", "link"):
        keys.generate(home.key.with_name(keying.NEXT))  # what makes keys uses the same two functions
    with monkeypatch.context() as patch:
        patch.setattr(*places[crash], die)
        assert cli.main(["keys", "rotate"]) == 130
    old = home.public
    assert cli.main(["keys", "rotate"]) == 0
    assert home.public != old
    assert len(home.store.list("keys")) == 1
    assert again(home, "# Second\n").version == "v2"
    assert verify.verify_channel(home.store, "tiny", "stable", old).signed_by == sha256_bytes(home.public)


def test_rotating_a_key_that_lies_elsewhere(home, monkeypatch, tmp_path, capsys):
    first = home.key.rename(tmp_path / "first.key")
    monkeypatch.setenv("SLIPWAY_KEY", str(first))
    assert cli.main(["keys", "rotate"]) == 2
    assert "name the new one: --new FILE" in capsys.readouterr().err
    assert cli.main(["keys", "rotate", "--new", str(tmp_path / "second.key")]) == 0
    assert f"set SLIPWAY_KEY={tmp_path / 'second.key'}" in capsys.readouterr().out
    assert first.exists()
    monkeypatch.setenv("SLIPWAY_KEY", str(tmp_path / "second.key"))
    assert again(home, "# Second\n").version == "v2"


def test_revoking_and_exporting(home, tmp_path, capsys):
    again(home, "# Second\n")
    old = tmp_path / "old.pub"
    old.write_bytes(home.public)
    name = sha256_bytes(home.public)
    assert cli.main(["keys", "rotate"]) == 0
    assert cli.main(["keys", "revoke", name[:7], "--reason", "x"]) == 2
    assert cli.main(["keys", "revoke", name[:8], "--reason", "laptop stolen", "--trust", "tiny@v1"]) == 0
    assert "still good of what it signed: tiny@v1" in capsys.readouterr().out
    assert cli.main(["keys", "export", str(tmp_path / "log.json"), "--key", str(old)]) == 0
    copies = {v: shutil.copytree(home.store.root / "releases/tiny" / v, tmp_path / v) for v in ("v1", "v2")}
    offline = ["--key", str(old), "--keys", str(tmp_path / "log.json")]
    capsys.readouterr()
    assert cli.main(["verify", str(copies["v1"]), *offline, "--json", str(tmp_path / "out.json")]) == 0
    assert "key log      2 events followed" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["signed_by"] == name
    assert cli.main(["verify", str(copies["v2"]), *offline]) == 1
    assert "laptop stolen. Do not use this release" in capsys.readouterr().err
    assert cli.main(["verify", str(copies["v2"]), "--key", str(old)]) == 0, "without the log nobody can know"
    capsys.readouterr()
    inside = home.store.root / "releases" / "tiny" / "v2"
    assert cli.main(["verify", str(inside), "--key", str(old)]) == 1, "a directory of a store has its log"
    assert cli.main(["keys", "list"]) == 0
    assert f"{name}  revoked" in capsys.readouterr().out


def test_a_release_of_another_key_is_not_trusted_by_name(home, capsys):
    name = sha256_bytes(home.public)
    assert cli.main(["keys", "rotate"]) == 0
    again(home, "# Second\n")
    assert cli.main(["keys", "revoke", name, "--reason", "x", "--trust", "tiny@v2"]) == 2
    assert "not by the one that is revoked" in capsys.readouterr().err
    assert len(home.store.list("keys")) == 1


def test_what_verify_tells(home, capsys):
    again(home, "# Second\n")
    assert cli.main(["verify", "tiny"]) == 0
    printed = capsys.readouterr().out
    for part in (
        "tiny v2 (release 2): verified",
        f"each as signed by key {sha256_bytes(home.public)[:16]}…",
        "signed at    2026-01-01T00:00:00+00:00 (as signed, not proved)",
        "gate         GO",
        "follows      manifest ",
    ):
        assert part in printed
    assert cli.main(["verify", "tiny", "--identity", "a@b.c"]) == 2
    assert cli.main(["verify", "tiny", "--key", "a", "--certificate-chain", "b"]) == 2


def test_keys_without_an_action_says_which_there_are(home, capsys):
    assert cli.main(["keys"]) == 2
    assert "list, rotate, revoke, export" in capsys.readouterr().err


def test_no_key_to_rotate(site, monkeypatch, capsys):
    monkeypatch.chdir(site.root)
    monkeypatch.setenv("SLIPWAY_STORE", str(site.store.root))
    assert cli.main(["keys", "rotate"]) == 2
    assert "no key yet" in capsys.readouterr().err
    assert not (site.root / ".slipway" / "keys").exists()


def test_on_s3_the_log_is_found_from_an_address_too(site, monkeypatch, tmp_path, capsys):
    import boto3
    from moto import mock_aws

    from slipway.adapters.store import S3Store, probing

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    probing.forget()
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="models")
        site.store = S3Store("models", "team/a")
        monkeypatch.setenv("SLIPWAY_STORE", "s3://models/team/a")
        monkeypatch.chdir(site.root)
        site.release()
        (tmp_path / "old.pub").write_bytes(site.public)
        old = sha256_bytes(site.public)
        assert cli.main(["keys", "rotate"]) == 0
        again(site, "# Second\n")
        for reference in ("tiny", "tiny@v1", "s3://models/team/a/releases/tiny/v2"):
            assert cli.main(["verify", reference, "--key", str(tmp_path / "old.pub")]) == 0
        assert capsys.readouterr().out.count("key log      1 events followed") == 3
        assert cli.main(["keys", "revoke", old, "--reason", "stolen"]) == 0
        assert cli.main(["verify", "s3://models/team/a/releases/tiny/v1"]) == 1
        assert cli.main(["verify", "tiny"]) == 0
