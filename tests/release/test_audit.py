"""The audit: what the advisories say of the packages of a bill of materials, and that no doubt is ever clean."""

import copy
import json
import random
import zipfile
from datetime import date

import pytest
from packaging.version import Version

from slipway.release import gate_page
from slipway.release.audit import examine, headline, ranges, read_bom, table
from slipway.release.audit.bundle import of_bundle
from slipway.scan.verdict import scan
from tests import gate_records

TODAY = date(2026, 6, 30)
RANGE = [{"introduced": "0"}, {"fixed": "1.1"}]


def entry(name="GHSA-aaaa", package="numpy", events=RANGE, **changes):
    """An advisory as OSV publishes it."""
    ranges_ = [{"type": "ECOSYSTEM", "events": copy.deepcopy(events)}]
    about = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges_, "versions": []}
    values = {
        "schema_version": "1.7.3", "id": name, "modified": "2026-06-20T12:00:00.123456789Z",
        "summary": f"{package} breaks", "affected": [about],
    }  # fmt: skip
    return values | changes


def snapshot(folder, *entries):
    folder.mkdir(parents=True, exist_ok=True)
    for one in entries:
        (folder / f"{len(list(folder.iterdir()))}.json").write_text(json.dumps(one))
    return folder


def bom(*packages, **more):
    parts = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in packages
    ]
    return {"bomFormat": "CycloneDX", "components": [*parts, *more.get("components", [])]}


def audit(folder, *entries, packages=(("numpy", "1.0"),), today=TODAY, **more):
    return examine(bom(*packages, **more), snapshot(folder, *entries), today, 30)


def test_an_affected_package_is_found_with_all_that_is_known(tmp_path):
    severity = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
    one = entry(severity=severity, aliases=["CVE-2026-1"], database_specific={"severity": "CRITICAL"})
    report = audit(tmp_path, one, entry("GHSA-bbbb", "scipy"))
    (found,) = report.findings
    assert (report.status, report.reason, report.audited, report.advisories) == ("affected", "", 1, 2)
    assert (found.id, found.aliases, found.package, found.version) == ("GHSA-aaaa", ("CVE-2026-1",), "numpy", "1.0")
    assert (found.fixed_in, found.summary) == (("1.1",), "numpy breaks")
    assert found.severity == (severity[0]["score"], "CRITICAL")
    assert report.database_date == "2026-06-20"
    told = table(report)
    for words in ("1 known vulnerabilities", "GHSA-aaaa", "numpy 1.0, fixed in 1.1", "CVE-2026-1", "CVSS:3.1/AV:N"):
        assert words in told


def test_a_mended_package_is_clean_and_says_against_what(tmp_path):
    report = audit(tmp_path, entry(), packages=(("numpy", "1.1"), ("scipy", "2.0")))
    assert (report.status, report.reason, report.audited, report.findings) == ("clean", "", 2, ())
    assert headline(report).startswith("no known vulnerability: 2 packages against 1 advisories of 2026-06-20")


@pytest.mark.parametrize(
    ("version", "events", "hit"),
    [
        ("1.0", [{"introduced": "0"}], True),
        ("0.9", [{"introduced": "1.0"}, {"fixed": "1.1"}], False),
        ("1.1", [{"introduced": "1.0"}, {"fixed": "1.1"}], False),
        ("1.1rc1", [{"introduced": "1.0"}, {"fixed": "1.1"}], True),
        ("1.0.post1", [{"introduced": "0"}, {"last_affected": "1.0"}], False),
        ("1.0", [{"introduced": "1.0"}, {"last_affected": "1.0"}], True),
        ("1.0+cpu", [{"introduced": "0"}, {"last_affected": "1.0"}], True),
        ("1.1+cpu", [{"introduced": "0"}, {"fixed": "1.1"}], False),
        ("3.1", [{"introduced": "1.0"}, {"fixed": "1.2"}, {"introduced": "3.0"}, {"fixed": "3.2"}], True),
        ("2.0", [{"introduced": "1.0"}, {"fixed": "1.2"}, {"introduced": "3.0"}, {"fixed": "3.2"}], False),
        ("2.0", [{"fixed": "3.2"}, {"introduced": "3.0"}, {"fixed": "1.2"}, {"introduced": "1.0"}], False),
        ("1.5", [{"introduced": "1.0", "fixed": "2.0"}], True),
        ("1.2", [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.2"}], True),
        ("1.5", [{"introduced": "0"}, {"limit": "1.2"}], False),
        ("1.5", [{"introduced": "0"}, {"limit": "1.2"}, {"limit": "*"}], True),
        ("0.1.dev1", [{"introduced": "0"}], True),
        ("1!0.1", [{"introduced": "0"}, {"fixed": "9"}], False),
    ],
)
def test_ranges_as_the_schema_evaluates_them(version, events, hit):
    said = {"ranges": [{"type": "ECOSYSTEM", "events": events}]}
    assert ranges.affected(ranges.public(version), said) is hit


@pytest.mark.parametrize(
    ("listed", "version", "hit"),
    [(["1.0", "2004d"], "1.0", True), (["1.0.0"], "1.0", True), (["1.0"], "1.0+cpu", True), (["0.9"], "1.0", False)],
)
def test_listed_versions_are_compared_as_versions(listed, version, hit):
    git = {"type": "GIT", "repo": "https://example.org/x", "events": [{"introduced": "0"}]}
    assert ranges.affected(ranges.public(version), {"versions": listed, "ranges": [git]}) is hit


def test_the_lowest_fix_of_each_range_that_covers_it():
    events = [{"introduced": "1.0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.2"}]
    said = {"ranges": [{"type": "ECOSYSTEM", "events": events}]}
    assert ranges.fixes(Version("1.1"), said) == {Version("1.2")}
    assert ranges.fixes(Version("2.1"), said) == {Version("2.2")}
    assert ranges.fixes(Version("1.5"), said) == set()


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2004d"}]}]}, "no version of PEP 440"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": 7}]}]}, "no version of PEP 440"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "9"}]}]}, "nowhere where it begins"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": []}]}, "without events"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"until": "9"}]}]}, "an event that is none"),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, "neither versions nor a range"),
        ({}, "neither versions nor a range"),
        ({"versions": "1.0"}, "is no list"),
        ({"versions": {}, "ranges": []}, "is no list"),
        ({"ranges": [True]}, "without events"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": ["0"]}]}]}, "no version of PEP 440"),
    ],
)
def test_an_advisory_that_does_not_decide_it_leaves_the_package_not_audited(tmp_path, about, words):
    odd = entry(affected=[{"package": {"ecosystem": "PyPI", "name": "numpy"}} | about])
    report = audit(tmp_path, odd, packages=(("numpy", "1.0"), ("scipy", "1.0")))
    assert (report.status, report.audited) == ("not run", 1)
    assert words in report.not_audited["numpy 1.0"]
    assert "1 could not be looked up (numpy 1.0: GHSA-aaaa: " in report.reason
    assert audit(tmp_path, odd, packages=(("scipy", "1.0"),)).status == "clean", "it is about another package"


def test_a_range_that_covers_it_decides_whatever_another_leaves_open(tmp_path):
    events = [{"introduced": "2004d"}]
    about = {"package": {"ecosystem": "PyPI", "name": "numpy"}}
    about["ranges"] = [{"type": "ECOSYSTEM", "events": events}, {"type": "ECOSYSTEM", "events": RANGE}]
    assert audit(tmp_path, entry(affected=[about])).status == "affected"


def test_a_listed_version_decides_whatever_the_ranges_are(tmp_path):
    about = {"package": {"ecosystem": "PyPI", "name": "numpy"}, "versions": ["1.0"], "ranges": [True, {"events": 7}]}
    (found,) = audit(tmp_path, entry(affected=[about], severity={"high": True})).findings
    assert (found.fixed_in, found.severity) == ((), ())


def test_names_are_canonical_on_both_sides(tmp_path):
    report = audit(tmp_path, entry(package="Typing_Extensions"), packages=(("typing.extensions", "1.0"),))
    assert [one.package for one in report.findings] == ["typing-extensions"]


def test_what_several_databases_say_of_one_vulnerability_is_one_finding(tmp_path):
    report = audit(
        tmp_path,
        entry("PYSEC-2026-1", aliases=["CVE-2026-1"], events=[{"introduced": "0"}, {"fixed": "1.3"}]),
        entry("GHSA-zzzz", aliases=["CVE-2026-1"]),
        entry("GHSA-yyyy", aliases=["CVE-2026-2"]),
    )
    assert [(one.id, one.aliases, one.fixed_in) for one in report.findings] == [
        ("GHSA-yyyy", ("CVE-2026-2",), ("1.1",)),
        ("GHSA-zzzz", ("PYSEC-2026-1", "CVE-2026-1"), ("1.1", "1.3")),
    ]


def test_withdrawn_advisories_and_other_ecosystems_say_nothing(tmp_path):
    npm = entry("GHSA-npm")
    npm["affected"][0]["package"]["ecosystem"] = "npm"
    report = audit(tmp_path, entry(withdrawn="2026-01-01T00:00:00Z"), npm, entry("GHSA-other", "scipy"))
    assert (report.status, report.advisories) == ("clean", 1)


def test_a_zip_is_the_same_database_as_its_unpacked_files(tmp_path):
    folder = snapshot(tmp_path / "files", entry(), entry("GHSA-bbbb", "scipy"))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.iterdir(), reverse=True):
            archive.write(path, f"deep/{path.name}")
    (folder / "README.md").write_text("not an advisory")
    (tmp_path / "holder").mkdir()
    (tmp_path / "all.zip").rename(tmp_path / "holder" / "all.zip")
    reports = [
        examine(bom(("numpy", "1.0")), place, TODAY, 30)
        for place in (folder, tmp_path / "holder", tmp_path / "holder" / "all.zip")
    ]
    assert reports[0].status == "affected"
    assert reports[0] == reports[1] == reports[2]


def test_an_old_database_is_stale_by_its_entries_whatever_the_files_say(tmp_path):
    old = entry(modified="2026-05-30T00:00:00Z")
    report = audit(tmp_path, old, packages=(("numpy", "2.0"),))
    assert (report.status, report.database_date) == ("stale", "2026-05-30")
    assert "31 days old" in report.reason
    assert audit(tmp_path, old, packages=(("numpy", "2.0"),), today=date(2026, 6, 29)).status == "clean"
    affected = audit(tmp_path, old)
    assert affected.status == "affected"
    assert "31 days old" in affected.reason, "what it does not know of is said too"
    assert "moreover" in headline(affected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no advisory in OSV format"),
        (json.dumps({"modified": "2026-06-20T00:00:00Z"}), "no advisory in OSV format"),
        (json.dumps(entry(modified="lately")), "not a time"),
        (json.dumps(entry(modified="2026-13-40T00:00:00Z")), "not a time"),
        (json.dumps(entry(modified="2026-07-05T00:00:00Z")), "still to come"),
        (json.dumps(entry(affected="all")), "no list of objects"),
        (json.dumps(entry(affected={})), "no list of objects"),
        (json.dumps(entry(affected=[0])), "no list of objects"),
        (json.dumps(entry(withdrawn=True)), "`withdrawn` is 'True', not a time"),
        (json.dumps(entry(affected=[{"package": {"name": "numpy"}}])), "without ecosystem and name"),
        (json.dumps(entry(aliases="CVE-1")), "`aliases` is no list"),
    ],
)
def test_one_entry_that_cannot_be_read_makes_it_not_run(tmp_path, content, words):
    folder = snapshot(tmp_path, entry("GHSA-good", "scipy"))
    (folder / "odd.json").write_text(content)
    report = examine(bom(("numpy", "1.0")), folder, TODAY, 30)
    assert (report.status, report.audited, report.findings, report.database_date) == ("not run", 0, (), None)
    assert words in report.reason
    assert "odd.json" in report.reason


def test_whatever_is_made_of_an_entry_is_a_status_and_no_exception(tmp_path):
    chance, junk = random.Random(7), [None, 0, True, "", [], {}, [[]], {"a": 1}, "\u202e", 10**400, float("inf")]

    def spots(value, path=()):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            if isinstance(inner, dict | list):
                yield from spots(inner, (*path, key))

    seen = set()
    for _ in range(400):
        one = entry(aliases=["CVE-1"], severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}])
        *way, last = chance.choice(list(spots(one)))
        inner = one
        for key in way:
            inner = inner[key]
        inner[last] = chance.choice(junk)
        (tmp_path / "a.json").write_text(json.dumps(one))
        report = examine(bom(("numpy", "1.0")), tmp_path, TODAY, 30)
        assert table(report)
        assert report.status != "clean" or one["affected"] != entry()["affected"] or "withdrawn" in one
        seen.add(report.status)
    assert {"affected", "not run"} <= seen


def test_two_different_entries_of_one_id_are_two_snapshots(tmp_path):
    snapshot(tmp_path / "a", entry())
    snapshot(tmp_path / "b", entry())
    assert examine(bom(("numpy", "1.0")), tmp_path, TODAY, 30).advisories == 1
    snapshot(tmp_path / "b", entry(summary="another"))
    assert "keep one snapshot" in examine(bom(("numpy", "1.0")), tmp_path, TODAY, 30).reason


def test_no_database_is_not_run(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    for name, words in (
        ("none", "no snapshot"),
        ("empty", "holds no advisory about PyPI"),
        ("broken.zip", "not a whole zip"),
    ):
        report = examine(bom(("numpy", "1.0")), tmp_path / name, TODAY, 30)
        assert report.status == "not run"
        assert words in report.reason
        assert headline(report).startswith("NOT RUN, so nobody knows")


def test_a_zip_that_was_cut_or_changed_is_not_run(tmp_path):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps(entry()))
        archive.writestr("b.json", json.dumps(entry("GHSA-b", "scipy")))
    whole = path.read_bytes()
    for damaged in (whole[:-30], whole[:60] + bytes([whole[60] ^ 1]) + whole[61:]):
        path.write_bytes(damaged)
        assert examine(bom(("numpy", "1.0")), path, TODAY, 30).status == "not run"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "library", "name": "x", "version": "1"}, "no package URL"),
        ({"type": "library", "name": "x", "version": "1", "purl": "pkg:npm/x@1"}, "`npm`"),
        ({"type": "library", "name": "x", "purl": "pkg:pypi/x"}, "no version"),
        ({"type": "library", "name": "x", "version": "1", "purl": "pkg:pypi/y@1"}, "another package"),
        ({"type": "library", "name": "x", "version": "1", "purl": "pkg:pypi/x@2"}, "another package"),
        ({"type": "framework", "name": "x", "version": "odd!", "purl": "pkg:pypi/x@odd!"}, "PEP 440"),
    ],
)
def test_a_component_that_cannot_be_looked_up_keeps_it_from_being_clean(tmp_path, part, words):
    data = {"type": "data", "name": "corpus"}
    report = audit(tmp_path, entry(package="scipy"), components=[data, {"type": "data", "components": [part]}])
    assert (report.status, report.audited) == ("not run", 1)
    assert words in report.not_audited["x"]


def test_a_bill_without_packages_is_not_run(tmp_path):
    for bill in (bom(), {}, {"components": "all"}, bom(components=[{"type": "data", "name": "corpus"}])):
        report = examine(bill, snapshot(tmp_path, entry()), TODAY, 30)
        assert report.status == "not run"
        assert "names no package" in report.reason


def test_the_words_of_an_advisory_cannot_move_a_terminal(tmp_path):
    odd = entry(summary="red \x1b[31m \u202e text\nsecond", aliases=["CVE\x07"])
    doubtful = entry("GHSA-\x1b[31m", "scipy", events=["\u202e\x07"])
    parts = [{"type": "library", "name": "\x1b[2J"}]
    told = table(audit(tmp_path, odd, doubtful, packages=(("numpy", "1.0"), ("scipy", "1.0")), components=parts))
    assert "GHSA-\\u001b" in told
    assert not {"\x1b", "\u202e", "\x07"} & set(told)


def test_the_words_of_an_advisory_do_not_make_the_scan_refuse_the_page(tmp_path):
    odd = entry(summary="an expression(s) of url(x) and @import <script>alert(1)</script>" + "." * 300)
    report = audit(tmp_path / "advisories", odd)
    assert report.findings[0].summary.startswith("an expression (s) of url (x) and @ import")
    assert report.findings[0].summary.endswith("…")
    page = tmp_path / "GATE.html"
    page.write_text(gate_page.render(gate_records.verdict("ab" * 32).model_copy(update={"audit": report})))
    found = scan(page, 1 << 20)
    assert found.passed, found.findings


def test_a_bundle_without_a_bill_is_not_run(tmp_path):
    folder = snapshot(tmp_path / "advisories", entry())
    assert "No such file" in of_bundle(tmp_path, folder, TODAY, 30).reason
    (tmp_path / "bom.cdx.json").write_text("{}")
    report = of_bundle(tmp_path, folder, TODAY, 30)
    assert report.status == "not run"
    assert "no bill of materials" in report.reason
    (tmp_path / "bom.cdx.json").write_text(json.dumps(bom(("numpy", "1.0"))))
    assert of_bundle(tmp_path, folder, TODAY, 30).status == "affected"
    assert read_bom(json.dumps(bom()).encode(), "x")["components"] == []
