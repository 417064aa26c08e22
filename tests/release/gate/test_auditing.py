"""Known vulnerabilities as lines of the gate: NO-GO unless somebody answers for them; no audit is a warning."""

import pytest

from slipway.recipe import load
from slipway.records import GateVerdict
from slipway.release import gate, gate_page
from slipway.release.gate import auditing
from slipway.settings import Waiver
from tests import gate_cases
from tests.gate_cases import audited, finding, judge, line


def waiver(name, expires="2026-12-31"):
    return Waiver(line=name, by="A. Person", reason="not reachable here", expires=expires)


def overall(verdict):
    """The word without the line `recipe`: these tests change the policy after the build."""
    return gate.overall(one for one in verdict.lines if one.id != "recipe")


def test_a_clean_audit_is_go_and_stands_in_the_verdict(site):
    verdict = judge(site)
    assert verdict.verdict == "GO"
    assert verdict.audit == audited()
    assert line(verdict, "audit").verdict == "GO"
    assert "WARNING" not in gate.explain(verdict)
    assert GateVerdict.model_validate_json(verdict.to_json()) == verdict


def test_a_known_vulnerability_is_no_go_and_says_what_mends_it(site):
    verdict = judge(site, audit=audited("affected", findings=(finding(),)))
    found = line(verdict, "audit:GHSA-x")
    assert verdict.verdict == found.verdict == "NO-GO"
    for words in ("numpy 1.0: it <breaks>", "CVE-2026-1", "HIGH", "fixed in numpy 1.1"):
        assert words in found.observed
    assert "`audit:GHSA-x`" in found.action
    assert line(verdict, "audit").verdict == "GO", "the audit itself was made"


@pytest.mark.parametrize("name", ["GHSA-x", "CVE-2026-1"])
def test_it_is_waived_by_any_of_its_names(site, name):
    report = audited("affected", findings=(finding(fixed_in=()), finding(package="scipy")))
    verdict = judge(site, audit=report, waivers=(waiver(f"audit:{name}"),))
    assert overall(verdict) == "GO", gate.explain(verdict)
    found = line(verdict, f"audit:{name}")
    assert (found.verdict, found.waived_by) == ("NO-GO", "A. Person, until 2026-12-31: not reachable here")
    assert "numpy 1.0, scipy 1.0" in found.observed, "one line for one vulnerability"


def test_a_waiver_that_expired_or_is_for_another_holds_nothing_open(site):
    report = audited("affected", findings=(finding(),))
    assert overall(judge(site, audit=report, waivers=(waiver("audit:GHSA-x", "2026-01-01"),))) == "NO-GO"
    verdict = judge(site, audit=report, waivers=(waiver("audit:GHSA-y"),))
    assert "did you mean `audit:GHSA-x`" in line(verdict, "waivers").observed
    assert overall(judge(site, waivers=(waiver("audit:GHSA-x"),))) == "NO-GO", "it waits for nothing"


@pytest.mark.parametrize("status", ["stale", "not run"])
def test_without_an_audit_there_is_a_warning_and_never_a_go(site, status):
    report = audited(status, reason="no snapshot there")
    verdict = judge(site, audit=report, waivers=(waiver("audit:GHSA-x"),))
    found = line(verdict, "audit")
    assert (overall(verdict), found.verdict, found.tier) == ("GO", "INCONCLUSIVE", "advisory")
    for told in (found.observed, gate.explain(verdict)):
        assert "WARNING" in told
        assert "nobody knows" in told.replace("\n", " ")
    assert "docs/audit.md" in found.action
    assert gate.warning(report).endswith("no snapshot there")
    page = gate_page.render(verdict)
    assert "WARNING" in page
    assert "never mean that there are no known" in page


@pytest.mark.parametrize("report", [audited("stale", reason="old"), audited("not run", reason="none"), None])
def test_the_recipe_can_require_it(site, report):
    (made, *_) = auditing.lines(report, (), required=True)
    assert (made.verdict, made.tier) == ("NO-GO", "critical")
    recipe = load(site.root / "params.yaml")
    strict = recipe.release.model_copy(update={"audit": recipe.release.audit.model_copy(update={"required": True})})
    verdict = gate.judge(
        recipe.model_copy(update={"release": strict}), site.root, gate_cases.scanned(site), None,
        today=gate_cases.TODAY, audit=report,
    )  # fmt: skip
    assert verdict.verdict == "NO-GO"


def test_what_an_affected_audit_does_not_know_is_a_warning_too(site):
    report = audited("affected", reason="2 could not be looked up", findings=(finding(),))
    verdict = judge(site, audit=report, waivers=(waiver("audit:GHSA-x"), waiver("audit:GHSA-unknown")))
    assert (overall(verdict), line(verdict, "audit").verdict) == ("GO", "INCONCLUSIVE")
    assert "moreover 2 could not be looked up" in gate.explain(verdict).replace("\n", " ")


def test_the_page_shows_database_findings_and_gaps(site):
    report = audited(
        "affected", reason="1 could not be looked up", findings=(finding(),), not_audited={"odd": "it has no version"}
    )
    page = gate_page.render(judge(site, audit=report))
    for words in (
        "Known vulnerabilities",
        "GHSA-x",
        "CVE-2026-1",
        "it &lt;breaks&gt;",
        "2026-06-29",
        "it has no version",
    ):
        assert words in page


def test_a_verdict_of_before_there_were_audits_can_be_read(site):
    values = judge(site).model_dump(mode="json", exclude={"audit"})
    assert GateVerdict.model_validate(values, strict=False).audit is None


def test_the_line_of_a_verdict_without_any_audit(site):
    verdict = gate.judge(
        load(site.root / "params.yaml"), site.root, gate_cases.scanned(site), None, today=gate_cases.TODAY
    )
    assert line(verdict, "audit").observed == "WARNING: NOT RUN: no audit was asked for"
