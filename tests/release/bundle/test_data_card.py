"""The data card: counts add up, what is not known is said to be so, and no origin is guessed."""

import copy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway import recipe
from slipway.errors import Refusal
from slipway.release.bundle import card, data_card, gaps, report_data, training_content
from slipway.release.bundle.material import load
from slipway.release.bundle.render import share
from tests.data_records import edit

FILES = {"kind": "jsonl", "path": "*.jsonl", "licence": "CC-BY-4.0"}


def mixed(project, values, **origins):
    """The project with file sources instead, `name=origin`, each of 100 kept characters; its material."""
    values["acquire"]["sources"] = [
        FILES | {"name": name} | ({} if origin is None else {"origin": origin}) for name, origin in origins.items()
    ]

    def sources(result):
        result["sources"] = [result["sources"][0] | {"source": name, "kind": "jsonl"} for name in origins]

    edit(project, "acquire", sources)
    edit(project, "prepare", lambda result: result.update(characters_by_source=dict.fromkeys(origins, 100)))
    return load(project, recipe.parse(values))


def answers(material):
    return {
        (part.number, question): answer
        for _, parts in training_content.summary(material)
        for part in parts
        for question, answer in part.rows
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda result: result["rejects"].update(licence=1), "201 rejected, by reason"),
        (lambda result: result["rejects_by_step"].update(quality=1), "201 rejected, by step"),
        (lambda result: result["splits"].update(train=699), "799 were kept"),
        (lambda result: result.update(release_licence="MIT"), "a release under MIT, but bundle.licence is Apache-2.0"),
    ],
)
def test_a_record_that_contradicts_itself_or_the_release_is_refused(project, default_recipe, change, words):
    edit(project, "prepare", change)
    with pytest.raises(Refusal, match=words):
        data_card.render(load(project, default_recipe))


def test_languages_that_nobody_told_are_not_stated(project, default_recipe):
    told = answers(load(project, default_recipe))["1.3", "Languages"]
    assert "of the characters looked at in the raw data (" in told
    edit(project, "validate", lambda result: result.update(characters_by_language={}))
    assert answers(load(project, default_recipe))["1.3", "Languages"] == "not stated"


def test_another_spelling_of_the_same_licence_is_the_same(project, values):
    values["bundle"]["licence"] = "MIT OR Apache-2.0"
    edit(project, "prepare", lambda result: result.update(release_licence="Apache-2.0 OR MIT"))
    assert "under Apache-2.0 OR MIT" in data_card.render(load(project, recipe.parse(values)))


def test_each_step_is_fed_by_the_one_before(project, default_recipe):
    found = data_card.steps(load(project, default_recipe))
    assert [step.name for step in found] == list(data_card.STEPS)
    assert found[0].came == 1000
    assert all(before.went == after.came for before, after in itertools.pairwise(found))
    assert found[-1].went == 800


def test_a_step_that_the_record_does_not_name_rejected_nothing_and_an_unknown_one_is_shown(project, default_recipe):
    def change(result):
        result["rejects_by_step"] = {"licence": 100, "magic": 100}

    edit(project, "prepare", change)
    found = {step.name: step for step in data_card.steps(load(project, default_recipe))}
    assert found["length"].rejected == 0
    assert (found["magic"].came, found["magic"].rejected, found["magic"].went) == (900, 100, 800)


def test_duties_that_are_not_known_are_not_said_to_be_none(project, default_recipe):
    edit(project, "prepare", lambda result: result.update(obligations=[]))
    material = load(project, default_recipe)
    assert "| BSD-3-Clause | – | **not known** | – | 800 |" in data_card.render(material)
    assert card.asked(material.prepare).startswith("not known")


def test_what_the_contract_did_not_run_or_meet_is_in_plain_sight(project, default_recipe):
    def change(result):
        result["expectations"][0].update(status="not met", observed="2 repeated", failing=2)

    edit(project, "validate", change)
    material = load(project, default_recipe)
    text = data_card.render(material)
    assert "| ids are unique | id | **not met** | 2 repeated | 0 | 2 |" in text
    assert "- The data contract does not hold: ids are unique, 2 repeated (0)." in text
    assert "Drift: **not run**" in text
    page = report_data.data(material).body
    assert "not met" in page
    assert "not run" in page
    assert "holds</span>" not in page


def test_drift_labels_template_and_base_are_shown_when_there_are_some(project, default_recipe):
    drift = {"baseline_sha256": "ba" * 32, "drift": {"length": 0.125}, "documents_by_label": {"good": 3, "bad": 1}}
    edit(project, "validate", lambda result: result.update(drift))
    edit(project, "tokenize", lambda result: result.update(origin="base", chat_template_sha256="ce" * 32))
    base = {
        "location": "hf://owner/name", "version": "c0ffee", "licence": "MIT", "digest": "12" * 32, "files": 3,
        "bytes": 9,
    }  # fmt: skip
    edit(project, "acquire", lambda result: result.update(base=base))
    material = load(project, default_recipe)
    text = data_card.render(material)
    for words in (
        "sha256 `babababababa`",
        "| length | 0.1250 |",
        "| good | 3 | 75 % |",
        "sha256 `cececececece`; of these only the assistant's turns",
        "taken from the base model",
    ):
        assert words in text
    found = answers(material)
    assert found["1.2", "Model that it depends on"] == "a modification of hf://owner/name at c0ffee"
    assert "text behind the base model not included" in found["1.3", "Size"]


def test_the_summary_has_every_section_of_the_template(project, default_recipe):
    found = training_content.summary(load(project, default_recipe))
    numbers = [part.number for _, parts in found for part in parts]
    assert numbers == ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3"]
    assert all(question and answer for _, parts in found for part in parts for question, answer in part.rows)


def test_nothing_is_claimed_of_a_source_that_states_no_origin(project, values):
    found = answers(mixed(project, values, mine=None, told="licensed"))
    silent = "not stated: 1 of 2 sources state no origin"
    assert found["2.1", "Used"] == found["2.3", "Used"] == found["2.4", "Used"] == found["2.5", "Used"] == silent
    assert found["2.2", "Used"] == "yes"
    assert found["2.2", "Which"].startswith("told (")
    assert found["2.3", "Most relevant domains"] == found["2.5", "Models that made it"] == "not stated"
    assert found["2.6", "Origin not stated"].startswith("mine (")
    assert found["1.1", "Name"] == found["3.1", "Measures"] == "not stated"


def test_what_the_recipe_states_is_shown(project, values):
    values["bundle"] |= {
        "provider": "Ada & Co",
        "contact": "ada@example.org",
        "rights_reservation": "TDM opt-outs kept.",
    }
    material = mixed(project, values, web="crawled", made="synthetic", people="user")
    found = answers(material)
    assert found["1.1", "Name"] == "Ada & Co"
    assert found["3.1", "Measures"] == "TDM opt-outs kept."
    assert found["2.1", "Used"] == found["2.2", "Used"] == found["2.6", "Used"] == "no"
    assert found["2.3", "Used"] == found["2.4", "Used"] == found["2.5", "Used"] == "yes"
    assert found["2.3", "Period of collection"] == "not stated"
    assert "Ada &amp; Co" in data_card.render(material)


def test_a_source_of_which_nothing_was_kept_is_no_training_content(project, values):
    material = mixed(project, copy.deepcopy(values), web="crawled", told="licensed")
    edit(project, "prepare", lambda result: result.update(characters_by_source={"told": 100}))
    found = answers(load(project, material.recipe))
    assert found["2.3", "Used"] == "no"
    assert found["2.3", "Most relevant domains"] == "not applicable: no crawl"


def test_what_training_data_was_not_cleaned_of_or_searched_for_is_a_gap(project, default_recipe):
    def battery(result):
        result["probes"]["poisoning_trigger"] = result["probes"]["toxicity"] | {"reason": "no held-out text"}

    edit(project, "safety", battery)
    found = gaps.gaps(load(project, default_recipe))
    # Its items come out of another harness's own data when it evaluates, long after training data was cleaned.
    assert "Training data was not cleaned of the items of hellaswag: these are read only to evaluate." in found
    words = "not searched for what somebody may have planted, poisoning trigger: no held-out text."
    assert sum(words in line for line in found) == 1
    edit(project, "evaluate", lambda result: result["tasks"].pop("hellaswag"))
    edit(project, "safety", lambda result: result["probes"]["poisoning_trigger"].update(status="run"))
    found = gaps.gaps(load(project, default_recipe))
    assert not any("hellaswag" in line or "planted, " in line for line in found)


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_nothing(value):
    shown = share(value)
    assert (shown == "0 %") == (value == 0)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 99)))
def test_shares_add_up(counts):
    found = data_card.shares(counts)
    assert sum(count for _, count, _ in found) == sum(counts.values())
    assert sum(part for *_, part in found) == pytest.approx(1 if any(counts.values()) else 0)
