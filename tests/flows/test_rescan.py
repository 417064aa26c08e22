"""The nightly look at what was released: it passes what is right, and says what is gone, altered or newly known."""

import http.server
import json
import shutil
import threading

import pytest

from flows import rescan_console, steps, watching
from slipway.adapters import webhook
from slipway.errors import Refusal, UserError
from slipway.release.publishing import twins
from slipway.release.publishing.claim import claim_version
from tests import release_project


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "state"))
    for name in ("SLIPWAY_WEBHOOK", "SLIPWAY_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)


def kinds(found):
    return [(incident.kind, incident.release) for incident in found]


def place(project, version="v1"):
    return project / ".slipway" / "store" / "releases" / "tiny" / version


def flip(path):
    """Flip one bit where the file lies, hard links and all."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_two_releases_share_files_and_both_pass(project, run, monkeypatch):
    monkeypatch.setattr(twins, "WORTH", 1)  # the files of a tiny bundle are smaller than what is worth a request
    run(project)
    release_project.bundle(project, card="# Second\n")
    run(project)
    assert (place(project) / "report.html").samefile(place(project, "v2") / "report.html")
    assert (place(project, "v2") / "README.md").stat().st_nlink == 1
    assert (project / "bundle" / "report.html").stat().st_nlink == 1, "nothing of the project is shared with the store"
    assert not list((project / ".slipway" / "releases").rglob("staged"))
    night = watching.rescan(project)
    look = night.looks[0]
    assert (look.version, look.files, look.files_scanned) == ("v2", 19, 19)
    assert (look.audit, look.broken, night.new, night.failed) == ("not run", {}, [], False)
    assert "stable: tiny v2; 19 files as signed, 19 scanned" in rescan_console.text(night)


def test_a_changed_byte_is_raised_once_and_stands_until_it_is_mended(project, run):
    run(project)
    assert not watching.rescan(project).failed
    flip(place(project) / "config.json")
    first = watching.rescan(project)
    assert kinds(first.new) == [("bytes", "tiny v1")]
    assert "v1/config.json: sha256 is" in first.new[0].details
    again = watching.rescan(project)
    assert (again.new, kinds(again.standing), again.failed) == ([], [("bytes", "tiny v1")], True)
    assert again.standing[0].time == first.new[0].time
    flip(place(project) / "config.json")
    mended = watching.rescan(project)
    assert (kinds(mended.mended), mended.failed) == ([("bytes", "tiny v1")], False)


def test_what_is_gone_is_told(project, run):
    run(project)
    release_project.bundle(project, card="# Second\n")
    run(project)
    told = watching.withdraw(project, "tiny", "v2", watching.Cause("bad"))
    assert told.undone == []
    assert not watching.rescan(project).failed, "a withdrawal is no incident"
    (place(project, "v2") / "yanked.json").unlink()
    assert kinds(watching.rescan(project).new) == [("tombstone-missing", "tiny v2")]
    (place(project, "v2") / "manifest.json").unlink()
    assert kinds(watching.rescan(project).new) == [("release-missing", "tiny v2")]
    shutil.rmtree(project / ".slipway" / "store" / "channels")
    night = watching.rescan(project)
    assert kinds(night.new) == [("pointer", "tiny/stable")]
    assert "stable.json: the pointer is missing" in night.new[0].details


def test_an_old_pointer_is_a_rollback(project, run):
    run(project)
    pointer = project / ".slipway" / "store" / "channels" / "tiny" / "stable.json"
    old = pointer.read_bytes()
    release_project.bundle(project, card="# Second\n")
    run(project)
    watching.rescan(project)
    pointer.write_bytes(old)
    for _ in range(2):
        night = watching.rescan(project)
        assert kinds([*night.new, *night.standing]) == [("rolled-back", "tiny/stable")]


def test_todays_rules_and_advisories(project, run):
    run(project)
    assert not watching.rescan(project).failed
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace('"max_file_bytes": 50000000000', '"max_file_bytes": 10'))
    found = watching.rescan(project).new
    assert {incident.kind for incident in found} == {"scan"}
    assert any("model.safetensors" in incident.details for incident in found)


def test_every_name_of_the_store(project, run):
    run(project)
    context = steps.open_context(project)
    claim_version(context.store, "other", "auto", context.digest, context.signer)
    context.store.create("channels/other/stable.json", b"{}")
    assert not watching.rescan(project).failed
    night = watching.rescan(project, everything=True)
    assert kinds(night.new) == [("pointer", "other/stable")]


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
        assert watching.rescan(project).looks == []
        with pytest.raises(Refusal, match="set SLIPWAY_KEY"):
            run(project)
        assert not (project / ".slipway" / "keys").exists()
        monkeypatch.setenv("SLIPWAY_KEY", str(release_project.key_pair(project / "shared" / "release.key")))
        run(project)
        release_project.bundle(project, card="# Second\n")
        run(project)
        look = watching.rescan(project).looks[0]
        assert (look.version, look.files, look.files_scanned, look.broken) == ("v2", 19, 19, {})
        key = "team/releases/tiny/v2/config.json"
        data = client.get_object(Bucket="models", Key=key)["Body"].read()
        client.put_object(Bucket="models", Key=key, Body=data[:-1] + b"x")
        night = watching.rescan(project)
        assert kinds(night.new) == [("bytes", "tiny v2")]
        assert "v2/config.json: sha256 is" in night.new[0].details
        client.put_object(Bucket="models", Key=key, Body=data)
        told = watching.withdraw(project, "tiny", "v2", watching.Cause("bad"))
        assert (told.undone, told.done.yanked.replaced_by) == ([], "v1")
        assert watching.rescan(project).looks[0].version == "v1"


def test_a_rescan_before_any_release_finds_nothing_to_do(project):
    assert watching.rescan(project) == watching.Night([], [], [], [], [])
    assert not (project / ".slipway" / "store").exists()


def test_a_damaged_claim_is_an_incident_and_hides_no_other(project, run):
    run(project)
    watching.rescan(project)
    claim = project / ".slipway" / "store" / "claims" / "tiny" / "000001.json"
    claim.write_bytes(b"{}")
    night = watching.rescan(project)
    assert kinds(night.new) == [("bytes", "tiny v1")]
    assert "claims/tiny/000001.json: not a signed envelope" in night.new[0].details
    flip(place(project) / "config.json")
    assert "config.json: sha256 is" in watching.rescan(project).looks[0].broken["bytes"]


def test_a_look_that_was_cut_is_told(project, run):
    run(project)
    watching.rescan(project)
    kept = project / ".slipway" / "watch" / "tiny" / "stable.json"
    kept.write_bytes(kept.read_bytes()[:30])
    with pytest.raises(UserError, match=r"stable\.json: not what a rescan wrote"):
        watching.rescan(project)


@pytest.fixture
def receiver(monkeypatch):
    """A server that takes webhooks; `answers` are its next status codes, 200 after them."""
    taken, answers = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = answers.pop(0) if answers else 200
            if status == 200:
                taken.append((dict(self.headers), body))
            self.send_response(status)
            if status != 200:
                self.send_header("Retry-After", "86400")  # nobody is kept waiting for a day
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SLIPWAY_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hooks/T0P-s3cret")
    monkeypatch.setenv("SLIPWAY_WEBHOOK_SECRET", "known to both")
    yield taken, answers
    server.shutdown()
    server.server_close()


def test_an_incident_is_delivered_once_signed_and_again_after_a_failure(project, run, receiver, caplog, capfd):
    taken, answers = receiver
    run(project)
    watching.rescan(project)
    assert taken == []
    flip(place(project) / "config.json")
    answers += [503, 503, 503, 503]
    night = watching.rescan(project)
    assert night.failed
    assert ["HTTP 503" in fault for fault in night.undelivered] == [True]
    night = watching.rescan(project)
    assert (night.new, night.undelivered) == ([], [])
    watching.rescan(project)
    assert len(taken) == 1, "delivered, it is not sent again"
    headers, body = taken[0]
    message = json.loads(body)
    assert message["incident"]["kind"] == "bytes"
    assert headers["webhook-id"] == message["incident"]["id"]
    signed = webhook.sign(b"known to both", headers["webhook-id"], headers["webhook-timestamp"], body)
    assert headers["webhook-signature"] == f"v1,{signed}"
    said = caplog.text + "".join(capfd.readouterr()) + rescan_console.text(night)
    said += "".join(path.read_text(errors="replace") for path in (project / ".slipway" / "watch").rglob("*.json"))
    assert "s3cret" not in said
    assert "known to both" not in said


def test_a_webhook_that_is_set_up_wrongly_is_told_at_once(project, run, monkeypatch):
    run(project)
    for url in ("http://example.org/x", "ftp://localhost/", "nonsense", "https://"):
        monkeypatch.setenv("SLIPWAY_WEBHOOK", url)
        with pytest.raises(UserError, match="not an https address"):
            watching.rescan(project)
    monkeypatch.setenv("SLIPWAY_WEBHOOK", "https://example.org/x")
    with pytest.raises(UserError, match="SLIPWAY_WEBHOOK_SECRET is not"):
        watching.rescan(project)
