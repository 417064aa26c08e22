"""The allow-list: AND needs all, OR needs one, WITH must be listed as it stands."""

import pytest

from slipway.data.clean.licences import AllowList, ids, obligations, terms
from slipway.errors import Refusal, UserError


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND 0BSD", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR (MIT AND 0BSD)", True),
        ("(MIT OR GPL-3.0-only) AND MPL-2.0", False),
        ("Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0-only WITH GCC-exception-3.1", True),
        (None, False),
        ("MIT OR", False),
        ("()", False),
        ("MIT AND ()", False),
        ("see the file", False),
        ("", False),
    ],
)
def test_an_expression_passes_if_allowed_ids_can_meet_it(expression, passes):
    allow = AllowList(["mit", "0BSD", "Apache-2.0", "GPL-3.0-only WITH GCC-exception-3.1"])
    assert allow.passes(expression) is passes


@pytest.mark.parametrize("entry", ["MIT OR GPL-3.0-only", "my licence", "", "Foo-1.0", "MIT OR LicenseRef-Acme"])
def test_entries_must_be_single_ids(entry):
    with pytest.raises(UserError, match="is not one SPDX id"):
        AllowList([entry])


def test_ids_of_an_expression():
    assert ids("MIT AND (0BSD OR MIT)") == ["MIT", "0BSD"]


def test_an_id_of_ones_own_passes_if_it_is_named():
    allow = AllowList(["MIT", "LicenseRef-Acme"])
    assert allow.passes("LicenseRef-Acme")
    assert allow.passes("MIT AND LicenseRef-Acme")
    assert not allow.passes("LicenseRef-Other")


@pytest.mark.parametrize(
    ("licence", "asks"),
    [
        ("CC0-1.0", ()),
        ("0BSD", ()),
        ("PDDL-1.0", ()),
        ("MIT", ("attribution", "notice")),
        ("Apache-2.0", ("attribution", "notice", "state changes")),
        ("CC-BY-4.0", ("attribution", "notice", "state changes")),
        ("ODC-By-1.0", ("attribution", "notice")),
        ("CC-BY-SA-4.0", ("attribution", "notice", "state changes", "share alike")),
        ("CC-BY-NC-ND-3.0-IGO", ("attribution", "notice", "state changes", "no commercial use", "no derivatives")),
        ("CC-BY-NC-SA-4.0", ("attribution", "notice", "state changes", "no commercial use", "share alike")),
        ("ODbL-1.0", ("attribution", "notice", "state changes", "share alike")),
        ("GPL-3.0-only", ("attribution", "notice", "state changes", "share alike", "source disclosure")),
        ("GPL-2.0-only WITH Classpath-exception-2.0", terms("GPL-2.0-only").asks),
        ("PolyForm-Noncommercial-1.0.0", ("attribution", "notice", "no commercial use")),
        ("LicenseRef-scancode-llama-3.3-license-2024", ("terms of its own, for a person to read",)),
        ("LicenseRef-Acme", ("terms of its own, for a person to read",)),
    ],
)
def test_what_a_licence_asks(licence, asks):
    assert terms(licence).asks == asks


@pytest.mark.parametrize(
    ("source", "release", "reason"),
    [
        ("MIT AND CC-BY-4.0 AND CC0-1.0", "Apache-2.0", None),
        ("CC-BY-NC-4.0", "Apache-2.0", "no commercial use"),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0", None),
        ("CC-BY-NC-4.0", "Apache-2.0 OR CC-BY-NC-4.0", "no commercial use"),
        ("CC-BY-NC-4.0", "Apache-2.0 AND CC-BY-NC-SA-4.0", None),
        ("CC-BY-ND-4.0", "Apache-2.0", "no derivatives"),
        ("CC-BY-ND-4.0", "CC-BY-ND-4.0", "no derivatives"),
        ("CC-BY-SA-4.0", "Apache-2.0", "share alike"),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0", None),
        ("CC-BY-SA-4.0", "GPL-3.0-only", None),
        ("CC-BY-SA-3.0", "CC-BY-SA-4.0", None),
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0", "share alike"),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0 OR MIT", "share alike"),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0 AND MIT", None),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", "share alike"),
        ("ODbL-1.0", "Apache-2.0", "share alike"),
        ("GPL-3.0-only", "Apache-2.0", "share alike"),
        ("GPL-3.0-only", "GPL-3.0-only AND MIT", "share alike, the whole"),
        ("GPL-2.0-or-later", "GPL-3.0-only", None),
        ("GPL-2.0-only", "GPL-3.0-only", "share alike"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", None),
        ("gpl-2.0-or-later with classpath-exception-2.0", "GPL-3.0", None),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "Apache-2.0", "share alike"),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", "share alike"),
        ("(MIT AND CC-BY-SA-4.0) OR Apache-2.0", "MIT", None),
        ("MPL-2.0", "Apache-2.0", "share alike"),
        ("MPL-2.0", "MPL-2.0 AND Apache-2.0", None),
        ("MIT OR GPL-3.0-only", "Apache-2.0", None),
        ("MIT AND (GPL-3.0-only OR CC-BY-NC-4.0)", "Apache-2.0", "no commercial use"),
        ("BUSL-1.1", "Apache-2.0", "category Source-available"),
        ("LicenseRef-scancode-llama-3.3-license-2024", "Apache-2.0", "category Proprietary Free"),
        ("LicenseRef-Acme", "Apache-2.0", None),
        ("Foo-1.0", "Apache-2.0", "category Unknown"),
    ],
)
def test_a_release_keeps_to_what_its_sources_ask(source, release, reason):
    if reason is None:
        obligations({("books", source): 3}, release)
        return
    with pytest.raises(Refusal) as refusal:
        obligations({("books", source): 3, ("notes", "MIT"): 1}, release)
    assert reason in str(refusal.value)
    assert f"books (3 documents under {source};" in str(refusal.value)
    assert "notes" not in str(refusal.value)
    assert "bundle.licence" in str(refusal.value)


def test_obligations_name_sources_and_take_the_lighter_alternative():
    kept = {("b", "MIT OR GPL-3.0-only"): 2, ("a", "MIT"): 3, ("c", "CC-BY-4.0 AND MIT"): 4, ("c", "CC0-1.0"): 5}
    found = {one.licence: one for one in obligations(kept, "Apache-2.0")}
    assert sorted(found) == ["CC-BY-4.0", "CC0-1.0", "MIT"]
    assert (found["MIT"].sources, found["MIT"].documents) == (("a", "b", "c"), 9)
    assert (found["CC-BY-4.0"].category, found["CC-BY-4.0"].documents) == ("Permissive", 4)


def test_an_alternative_that_is_not_allowed_is_not_taken():
    kept = {("b", "MIT OR GPL-3.0-only"): 2}
    allow = AllowList(["GPL-3.0-only"])
    assert [one.licence for one in obligations(kept, "GPL-3.0-only", allow)] == ["GPL-3.0-only"]
    with pytest.raises(Refusal, match="share alike"):
        obligations(kept, "Apache-2.0", allow)


def test_many_refused_sources_are_counted():
    with pytest.raises(Refusal, match="and 5 more"):
        obligations({(f"s{number:02}", "CC-BY-ND-4.0"): 1 for number in range(15)}, "MIT")


@pytest.mark.parametrize("release", ["", "MIT OR", "Foo-1.0", "Apache 2", "MIT AND ()"])
def test_a_release_licence_that_cannot_be_read(release):
    with pytest.raises(UserError, match="is not an SPDX expression"):
        obligations({("a", "MIT"): 1}, release)
