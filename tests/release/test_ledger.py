"""LEDGER.md: made from the signed statement, covered by the signature, and only where a ledger is stated."""

import shutil
import subprocess
import sys

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.records import project_ledger
from slipway.release import ledger, statement
from slipway.release.bundle import manifest
from slipway.release.reading import fetch, verify
from slipway.release.signing import signature
from slipway.scan.verdict import scan
from slipway.settings import Price
from tests import release_project

PREFIX = "releases/tiny/v1"
PRICE = Price(per_device_hour=2.0, currency="EUR")


@pytest.fixture
def counted(site):
    """A project that trained before, and whose releases state it."""
    release_project.ledger(site.root)
    site.price = PRICE
    return site


def place(site):
    return site.store.root / "releases" / "tiny" / "v1"


def test_the_page_says_what_this_run_and_all_runs_cost(counted):
    text = ledger.render(project_ledger(counted.root, PRICE))
    for words in (
        "| Attempts | 2 | 3 |",
        "| How they ended | 1 finished, 1 failed | 1 finished, 1 failed, 1 killed |",
        "| Device-hours | 2 | 3 |",
        "| Tokens | 128 | 192 |",
        "| MFU | 17.8 % | 17.8 % |",
        "| Energy | unknown | unknown |",
        "| Cost | 4.00 EUR | 6.00 EUR |",
        "key `0123456789abcdef`",
        "never estimated: unknown: no RAPL counter in /sys/class/powercap.",
        "up to 10 s before its end are missing",
    ):
        assert words in text
    assert "| Cost | no price in the recipe |" in ledger.render(project_ledger(counted.root, None))
    shown = ledger.line(project_ledger(counted.root, PRICE))
    assert shown == ("3 attempts (2 of this run), 3 device-hours, 192 tokens, MFU 17.8 %, energy unknown, 6.00 EUR")


def test_a_run_that_no_attempt_tells_of_is_unknown_and_not_free(site):
    text = ledger.render(project_ledger(site.root, PRICE))
    assert "| Cost | unknown | unknown |" in text
    assert "What it cost is not known." in text


def test_it_lies_beside_the_card_signed_and_not_in_the_manifest(counted, tmp_path):
    counted.release()
    held = {path.removeprefix(f"{PREFIX}/") for path in counted.store.list(PREFIX)}
    assert held == set(manifest.entries(counted.root / "bundle")) | {
        "statement.json",
        "LEDGER.md",
        "GATE.html",
        "model.sig",
    }
    verify.verify_channel(counted.store, "tiny", "stable", counted.public)
    _, content = statement.read((place(counted) / statement.NAME).read_bytes(), counted.public)
    stated = content["predicate"]["buildDefinition"]["internalParameters"]["ledger"]
    assert (stated["this_run"]["attempts"], stated["all_runs"]["cost"]) == (2, 6.0)
    assert (place(counted) / "LEDGER.md").read_text() == ledger.render(project_ledger(counted.root, PRICE))
    # Model signing, fetching and the scan of what is published know it too.
    public = tmp_path / "key.pub"
    public.write_bytes(counted.public)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(place(counted))]
    command += ["--signature", str(place(counted) / "model.sig"), "--public_key", str(public)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    fetched = tmp_path / "fetched"
    fetch.fetch(counted.store, "tiny", "v1", fetched, counted.public, channel="stable")
    assert verify.verify(LocalStore(fetched), "", counted.public).files == len(held)
    report = scan(fetched, 1 << 30, manifest.digest(fetched))
    assert report.passed, report.findings


def test_altered_removed_or_added_it_is_refused(counted, tmp_path):
    release_project.bundle(counted.root)
    counted.release()
    page = place(counted) / "LEDGER.md"
    text = page.read_bytes()
    page.write_bytes(text.replace(b"4.00", b"0.40"))
    with pytest.raises(Refusal, match=r"v1/LEDGER\.md: sha256 is .* was signed"):
        verify.verify(counted.store, PREFIX, counted.public)
    page.unlink()
    with pytest.raises(Refusal, match=r"v1/LEDGER\.md: signed, but missing"):
        verify.verify(counted.store, PREFIX, counted.public)


def test_a_release_without_a_ledger_verifies_and_takes_none(site):
    """As releases of earlier versions are."""
    site.release()
    assert not (place(site) / "LEDGER.md").exists()
    verify.verify_channel(site.store, "tiny", "stable", site.public)
    (place(site) / "LEDGER.md").write_text("# It was free\n")
    with pytest.raises(Refusal, match=r"LEDGER\.md: not covered by the signature"):
        verify.verify(site.store, PREFIX, site.public)


@pytest.mark.parametrize("states", [True, False])
def test_the_signature_alone_makes_no_ledger_and_the_statement_asks_for_it(counted, states):
    """What the right key signed in the wrong way does not pass either."""
    counted.price = PRICE if states else None
    staged = counted.staged(counted.seal())
    if states:
        (staged / "LEDGER.md").unlink()
    else:
        (staged / "LEDGER.md").write_text("# It was free\n")
    (staged / signature.NAME).unlink()
    signature.sign(staged, counted.signer)
    with pytest.raises(Refusal, match=r"LEDGER\.md"):
        verify.verify(LocalStore(staged), "", counted.public)


def test_a_bundle_cannot_bring_its_own(counted):
    (counted.root / "bundle" / "LEDGER.md").write_text("# It was free\n")
    manifest.write(counted.root / "bundle", "tiny")
    with pytest.raises(Refusal, match=r"lists LEDGER\.md, which is made at release"):
        counted.seal()


@pytest.mark.parametrize("sent", ["statement.json", "LEDGER.md", "model.sig"])
def test_an_interrupted_release_keeps_the_ledger_that_it_published(counted, sent):
    """Taken up on a machine that has neither journal nor staged files, after more was trained."""
    claim = counted.seal()
    staged = counted.staged(claim)
    page = (staged / "LEDGER.md").read_bytes()
    names = ["statement.json", "LEDGER.md", "GATE.html", "model.sig"]
    for name in [*(n for n in manifest.entries(counted.root / "bundle") if n != "manifest.json"), *names]:
        counted.store.create(f"{PREFIX}/{name}", staged / name)
        if name == sent:
            break
    shutil.rmtree(counted.work)
    (counted.root / ".slipway" / "ledger" / "c.json").unlink()
    assert counted.seal() == claim
    assert (counted.staged(claim) / "LEDGER.md").read_bytes() == page
    counted.send(claim)
    verify.verify_channel(counted.store, "tiny", "stable", counted.public)


def test_the_statement_is_sent_before_the_page_that_is_made_from_it(counted, monkeypatch):
    """Else a page could be there that no later attempt can make again."""
    claim, sent = counted.seal(), []
    create = counted.store.create

    def noted(_, key, content, **known):
        sent.append(key)
        create(key, content, **known)

    monkeypatch.setattr(type(counted.store), "create", noted)
    counted.send(claim)
    names = [key.removeprefix(f"{PREFIX}/") for key in sent]
    assert names[-5:] == ["statement.json", "LEDGER.md", "GATE.html", "model.sig", "manifest.json"]


def test_a_ledger_that_this_version_cannot_read_is_said(counted):
    content = {"predicate": {"buildDefinition": {"internalParameters": {"ledger": {"attempts": 1}}}}}
    with pytest.raises(Refusal, match=r"statement\.json: its ledger cannot be read"):
        ledger.read(content, "statement.json")
