"""The nightly look at what was released: it passes what is right, and says what is gone or was altered."""

import shutil

import pytest

from flows import steps, watching
from slipway.errors import Refusal
from slipway.release import verify
from tests import release_project


def test_two_releases_share_files_and_both_pass(project, run):
    run(project)
    release_project.bundle(project, card="# Second\n")
    run(project)
    place = project / ".slipway" / "store" / "releases" / "tiny"
    assert (place / "v1" / "report.html").samefile(place / "v2" / "report.html")
    assert (place / "v2" / "README.md").stat().st_nlink == 1
    assert (project / "bundle" / "report.html").stat().st_nlink == 1, "nothing of the project is shared with the store"
    assert not list((project / ".slipway" / "releases").rglob("staged"))
    found = watching.rescan(project)
    assert (found["release"]["version"], found["files_scanned"]) == ("v2", 19)


def test_a_pointer_that_is_gone_is_refused(project, run):
    run(project)
    shutil.rmtree(project / ".slipway" / "store" / "channels")
    with pytest.raises(Refusal, match=r"stable\.json: the pointer is missing"):
        watching.rescan(project)


def test_only_signed_files_are_fetched_and_none_outside_the_folder(project, run, tmp_path, monkeypatch):
    run(project)
    context = steps.open_context(project)
    public = (project / ".slipway" / "keys" / "release.pub").read_bytes()
    (context.store.root / "releases" / "tiny" / "v1" / "evil.py").write_text("x")
    verify.fetch(context.store, "releases/tiny/v1", tmp_path / "copy", public)
    assert len([path for path in (tmp_path / "copy").rglob("*") if path.is_file()]) == 19
    assert not (tmp_path / "copy" / "evil.py").exists()
    monkeypatch.setattr(verify, "signed_files", lambda *_: {"../evil.py": "00"})
    with pytest.raises(Refusal, match="not inside the release"):
        verify.fetch(context.store, "releases/tiny/v1", tmp_path / "copy", public)
    assert not (tmp_path / "evil.py").exists()


def test_a_release_to_s3_and_a_rescan(project, run, monkeypatch):
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("SLIPWAY_STORE", "s3://models/team")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        assert watching.rescan(project) is None
        with pytest.raises(Refusal, match="set SLIPWAY_KEY"):
            run(project)
        assert not (project / ".slipway" / "keys").exists()
        monkeypatch.setenv("SLIPWAY_KEY", str(release_project.key_pair(project / "shared" / "release.key")))
        run(project)
        release_project.bundle(project, card="# Second\n")
        run(project)
        found = watching.rescan(project)
        assert (found["release"]["version"], found["files_scanned"]) == ("v2", 19)
        assert found["uri"] == "s3://models/team/releases/tiny/v2"
        data = client.get_object(Bucket="models", Key="team/releases/tiny/v2/config.json")["Body"].read()
        client.put_object(Bucket="models", Key="team/releases/tiny/v2/config.json", Body=data + b" ")
        with pytest.raises(Refusal, match=r"v2/config\.json: sha256 is"):
            watching.rescan(project)


def test_a_rescan_before_any_release_finds_nothing_to_do(project):
    assert watching.rescan(project) is None
    assert not (project / ".slipway" / "store").exists()
