"""GATE.html: the signed verdict for people, made from the statement, and only where the statement asks for it."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.records import GateVerdict
from slipway.release import gate_page, statement
from slipway.release.approvals.approval import Approvals, Approver
from slipway.release.bundle import manifest
from slipway.release.gate_page import Signed
from slipway.release.reading import fetch, verify
from slipway.release.signing import envelope, signature
from slipway.scan.verdict import scan
from tests import gate_records

PREFIX = "releases/tiny/v1"
DIGEST = "ab" * 32


def place(site):
    return site.store.root / "releases" / "tiny" / "v1"


def words(page: str) -> str:
    """What a reader sees, in order."""

    class Text(HTMLParser):
        seen = ""
        hidden = False

        def handle_starttag(self, tag, _):
            self.hidden = tag in {"style", "title"}

        def handle_data(self, data):
            self.seen += "" if self.hidden else f"{data} "

    text = Text()
    text.feed(page)
    return " ".join(text.seen.split())


def test_the_verdict_comes_first_and_every_line_is_there():
    verdict = gate_records.verdict(DIGEST)
    page = gate_page.render(verdict)
    assert "<h1>Gate: GO</h1>" in page
    seen = words(page.partition("<main>")[2])
    assert seen.index("GO") < seen.index("tiny v0") < seen.index("Critical")
    for line in verdict.lines:
        assert line.id in seen
    for told in (
        "Compared with the champion, tiny v0.", "0.004", "-0.011", "0.019", "-0.02", "To do: give it a lexicon",
        "INCONCLUSIVE, waived", "Ana, until 2026-12-31: <lexicon> & co. follow", "Not asked yet.", "not released",
    ):  # fmt: skip
        assert told in seen, told
    assert '<a href="report.html">' in page
    assert page == gate_page.render(verdict), "equal verdicts, equal bytes"


@pytest.mark.parametrize("word", ["NO-GO", "INCONCLUSIVE"])
def test_what_holds_it_up_is_said_before_everything_else(word):
    verdict = gate_records.verdict(DIGEST)
    lines = [line.model_copy(update={"verdict": word, "waived_by": None}) for line in verdict.lines[2:3]]
    page = gate_page.render(verdict.model_copy(update={"verdict": word, "lines": (*verdict.lines[:2], *lines)}))
    seen = words(page.partition("<main>")[2])
    assert seen.index(word) < seen.index("To do: give it a lexicon") < seen.index("Asked of every release")
    assert "nothing is signed or published" in seen


def test_a_first_release_says_what_stood_in():
    verdict = gate_records.verdict(DIGEST).model_copy(update={"champion": None, "stand_in": "chance and gzip"})
    assert "First release; in place of a champion: chance and gzip." in words(gate_page.render(verdict))


def test_approvals_stand_on_the_page():
    approvals = Approvals(
        bundle_digest=DIGEST,
        required=1,
        approvers=(Approver(name="ana", time="2026-01-01T00:00:00+00:00", key_sha256="cd" * 32),),
        summary="approved by ana",
    )
    signed = Signed("tiny v3", approvals, "2026-01-02T00:00:00+00:00")
    seen = words(gate_page.render(gate_records.verdict(DIGEST), signed))
    for told in ("ana", "cdcdcdcdcdcd", "tiny v3", "Signed 2026-01-02T00:00:00+00:00"):
        assert told in seen
    nobody = approvals.model_copy(update={"approvers": (), "required": 0, "summary": "nobody approved"})
    assert "Nobody approved." in words(gate_page.render(gate_records.verdict(DIGEST), Signed("tiny v3", nobody, "")))


def test_text_of_a_line_is_text_and_not_markup():
    verdict = gate_records.verdict(DIGEST)
    line = verdict.lines[0].model_copy(update={"observed": "<script>alert(1)</script>\u202e", "id": "<b>"})
    page = gate_page.render(verdict.model_copy(update={"lines": (line,)}))
    assert "<script" not in page
    assert "\u202e" not in page


def test_it_lies_beside_the_report_signed_and_not_in_the_manifest(site, tmp_path):
    site.release()
    held = {path.removeprefix(f"{PREFIX}/") for path in site.store.list(PREFIX)}
    assert held == set(manifest.entries(site.root / "bundle")) | {"statement.json", "GATE.html", "model.sig"}
    assert "GATE.html" not in manifest.read(place(site)).files
    verify.verify_channel(site.store, "tiny", "stable", site.public)
    _, content = statement.read((place(site) / statement.NAME).read_bytes(), site.public)
    verdict, signed = gate_page.read(content, "statement.json")
    assert verdict == gate_records.verdict(manifest.digest(site.root / "bundle"))
    assert (place(site) / "GATE.html").read_text() == gate_page.render(verdict, signed)
    assert signed.release == "tiny v1"
    public = tmp_path / "key.pub"
    public.write_bytes(site.public)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(place(site))]
    command += ["--signature", str(place(site) / "model.sig"), "--public_key", str(public)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    fetched = tmp_path / "fetched"
    fetch.fetch(site.store, "tiny", "v1", fetched, site.public, channel="stable")
    report = scan(fetched, 1 << 30, manifest.digest(fetched))
    assert report.passed, report.findings


def test_altered_or_removed_it_is_refused(site):
    site.release()
    page = place(site) / "GATE.html"
    text = page.read_bytes()
    page.unlink()
    page.write_bytes(text.replace(b"INCONCLUSIVE", b"GO"))
    with pytest.raises(Refusal, match=r"v1/GATE\.html: sha256 is .* was signed"):
        verify.verify(site.store, PREFIX, site.public)
    page.unlink()
    with pytest.raises(Refusal, match=r"v1/GATE\.html: signed, but missing"):
        verify.verify(site.store, PREFIX, site.public)


def test_a_release_made_before_there_was_a_page_verifies_and_takes_none(site):
    """Its statement holds a verdict in an older form, and asks for no page."""
    site.judged = False
    claim = site.seal()
    staged = site.staged(claim)
    _, content = statement.read((staged / statement.NAME).read_bytes(), site.public)
    inner = content["predicate"]["buildDefinition"]["internalParameters"]
    lines = [{"check": "scan now", "verdict": "GO", "observed": "4 equal", "reason": ""}]
    inner["gate"] = {"bundle_digest": DIGEST, "verdict": "GO", "lines": lines}
    (staged / statement.NAME).write_bytes(envelope.seal(content, signature.IN_TOTO, site.signer))
    (staged / signature.NAME).unlink()
    signature.sign(staged, site.signer)
    site.send(claim)
    verify.verify_channel(site.store, "tiny", "stable", site.public)
    assert not (place(site) / "GATE.html").exists()
    (place(site) / "GATE.html").write_text("<p>GO")
    with pytest.raises(Refusal, match=r"GATE\.html: not covered by the signature"):
        verify.verify(site.store, PREFIX, site.public)


@pytest.mark.parametrize("states", [True, False])
def test_the_signature_alone_makes_no_page_and_the_statement_asks_for_it(site, states):
    """What the right key signed in the wrong way does not pass either."""
    site.judged = states
    staged = site.staged(site.seal())
    if states:
        (staged / "GATE.html").unlink()
    else:
        (staged / "GATE.html").write_text("<p>GO")
    (staged / signature.NAME).unlink()
    signature.sign(staged, site.signer)
    with pytest.raises(Refusal, match=r"GATE\.html"):
        verify.verify(LocalStore(staged), "", site.public)


def test_a_bundle_cannot_bring_its_own(site):
    (site.root / "bundle" / "GATE.html").write_text("<p>GO")
    manifest.write(site.root / "bundle", "tiny")
    with pytest.raises(Refusal, match=r"lists GATE\.html, which is made at release"):
        site.seal()


@pytest.mark.parametrize("sent", ["statement.json", "GATE.html", "model.sig"])
def test_an_interrupted_release_keeps_the_page_that_it_published(site, sent, monkeypatch):
    """Taken up on a machine that has neither journal nor staged files, when the gate would say something else."""
    claim = site.seal()
    staged = site.staged(claim)
    page = (staged / "GATE.html").read_bytes()
    names = [name for name in manifest.entries(site.root / "bundle") if name != "manifest.json"]
    for name in [*names, "statement.json", "GATE.html", "model.sig"]:
        site.store.create(f"{PREFIX}/{name}", staged / name)
        if name == sent:
            break
    shutil.rmtree(site.work)
    changed = gate_records.verdict(DIGEST).model_copy(update={"champion": "another"})
    monkeypatch.setattr(gate_records, "verdict", lambda _: changed)
    assert site.seal() == claim
    assert (site.staged(claim) / "GATE.html").read_bytes() == page
    site.send(claim)
    verify.verify_channel(site.store, "tiny", "stable", site.public)


def test_a_verdict_that_this_version_cannot_read_is_said(site):
    claim = site.seal()
    _, content = statement.read((site.staged(claim) / statement.NAME).read_bytes(), site.public)
    assert gate_page.stated(content)
    content["predicate"]["buildDefinition"]["internalParameters"]["gate"]["lines"][0]["tier"] = "holy"
    with pytest.raises(Refusal, match=r"statement\.json: the gate's verdict in it cannot be read"):
        gate_page.read(content, "statement.json")


def test_the_page_passes_the_scan_and_calls_nowhere(tmp_path):
    path = tmp_path / gate_page.NAME
    path.write_text(gate_page.render(gate_records.verdict(DIGEST)))
    assert scan(path, 1 << 20).passed
    page = path.read_text()
    assert not re.search(r"(?:src|href)=\"(?!#|report\.html)", page)
    path.write_text(page.replace('href="report.html"', 'href="https://example.org"'))
    assert [finding.rule for finding in scan(path, 1 << 20).findings] == ["html.active"]
    path.write_text(page.replace('<a href="report.html"', '<area href="report.html"'))
    assert [finding.rule for finding in scan(path, 1 << 20).findings] == ["html.active"]


def test_a_verdict_survives_the_statement():
    verdict = gate_records.verdict(DIGEST)
    assert GateVerdict.model_validate_json(json.dumps(verdict.model_dump(mode="json"))) == verdict
