"""The audit where people meet it: the gate of a release, its statement and page, and `slipway audit`."""

import json
from datetime import UTC, datetime

import pytest

from flows import gating, steps
from flows.release_console import facts
from slipway.cli import main
from slipway.files import write_atomic
from slipway.records import AuditReport
from slipway.release.bundle import manifest
from slipway.release.signing import envelope, keys, signature
from tests import release_project

BOM = {
    "bomFormat": "CycloneDX",
    "components": [{"type": "library", "name": "numpy", "version": "1.0", "purl": "pkg:pypi/numpy@1.0"}],
}


@pytest.fixture
def audited(project):
    """The project, its bundle with a bill of materials."""
    write_atomic(project / "bundle" / "bom.cdx.json", json.dumps(BOM))
    digest = release_project.bundle(project)
    files = len(manifest.read(project / "bundle").files) + 1
    found = {"bundle_digest": digest, "files_scanned": files, "passed": True, "findings": []}
    release_project.report(project, "scan", found)
    return project


def advisory(root, name="GHSA-x", fixed="1.1", modified=None, package="numpy"):
    entry = {
        "id": name, "aliases": ["CVE-2026-1"], "summary": "it breaks",
        "modified": modified or datetime.now(UTC).isoformat(),
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": package},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
        }],
    }  # fmt: skip
    write_atomic(root / ".slipway" / "advisories" / f"{name}.json", json.dumps(entry))


def line(verdict, name):
    return next(one for one in verdict.lines if one.id == name)


def test_without_a_snapshot_a_release_is_warned_aloud_and_signed_with_the_warning(audited, run, capsys):
    run(audited)
    assert "WARNING: audit of the software: NOT RUN" in capsys.readouterr().err
    assert facts(steps.open_context(audited))["audit"].startswith("NOT RUN, so nobody knows")
    released = audited / ".slipway/store/releases/tiny/v1"
    content = envelope.unseal(
        (released / "statement.json").read_bytes(), signature.IN_TOTO, keys.public_key(audited), "statement"
    )
    stated = content["predicate"]["buildDefinition"]["internalParameters"]["gate"]["audit"]
    assert AuditReport.model_validate_json(json.dumps(stated)).status == "not run"
    page = (released / "GATE.html").read_text()
    assert ".slipway/advisories: no snapshot" in page
    assert str(audited) not in page + json.dumps(content), "what is published tells nothing of the machine"
    assert "WARNING" in page


def test_a_known_vulnerability_stops_a_release(audited, run):
    advisory(audited)
    with pytest.raises(gating.NotGo, match="audit:GHSA-x: numpy 1"):
        run(audited)
    assert not (audited / ".slipway/store").exists()


def test_a_mended_one_does_not_and_the_audit_is_go(audited, capsys):
    advisory(audited, fixed="1.0")
    verdict = gating.ask(steps.open_context(audited))
    assert verdict.audit.status == "clean"
    assert line(verdict, "audit").verdict == "GO"
    assert "WARNING" not in capsys.readouterr().err


def test_a_bundle_without_a_bill_was_not_audited(project):
    advisory(project)
    verdict = gating.judge(steps.open_context(project))
    assert verdict.audit.status == "not run"
    assert "bom.cdx.json" in verdict.audit.reason


def test_the_command_says_clean_affected_and_not_known_apart(audited, capsys, tmp_path):
    assert main(["audit"]) == 2
    assert "NOT RUN, so nobody knows" in capsys.readouterr().out
    advisory(audited, fixed="1.0", modified="2026-01-01T00:00:00Z")
    assert main(["audit"]) == 2
    assert "STALE" in capsys.readouterr().out
    advisory(audited, fixed="1.0")
    assert main(["audit", "bundle", "--json", str(tmp_path / "out.json")]) == 0
    assert capsys.readouterr().out.startswith("audit of ")
    assert AuditReport.model_validate_json((tmp_path / "out.json").read_text()).status == "clean"
    advisory(audited, fixed="2.0")
    assert main(["audit"]) == 1
    assert "GHSA-x  numpy 1.0, fixed in 2.0" in capsys.readouterr().out
    assert main(["audit", "--advisories", str(tmp_path / "elsewhere")]) == 2


def test_the_command_audits_a_release_by_its_signed_bill(audited, run, capsys):
    run(audited)
    advisory(audited)
    released = audited / ".slipway/store/releases/tiny/v1"
    for name in ("tiny", "tiny@v1", str(released)):
        assert main(["audit", name]) == 1
        assert "GHSA-x  numpy 1.0" in capsys.readouterr().out
    (released / "bom.cdx.json").chmod(0o644)
    (released / "bom.cdx.json").write_text(json.dumps(BOM | {"components": []}))
    assert main(["audit", str(released)]) == 1
    assert "refused" in capsys.readouterr().err
