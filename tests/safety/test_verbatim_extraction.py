"""Extraction on a model that learnt its text by heart, and on one that did not."""

import pytest

from slipway.errors import UserError
from slipway.safety.verbatim_extraction import probe


def test_what_was_learnt_by_heart_comes_out_and_the_rest_does_not(remembering, texts):
    found = probe(remembering, texts[:10], texts[10:], rows=20, tokens=5, seed=17)
    assert found.measures["rate"].value >= 0.9
    assert found.measures["rate"].n == 10
    assert found.measures["rate_held_out"].value <= 0.1
    assert found.measures["rate_held_out"].n == 20
    assert found.measures["rate"].method == "Wilson"


def test_an_untrained_model_repeats_nothing_and_rows_follow_the_seed(untrained, texts):
    found = probe(untrained, texts, [], rows=7, tokens=5, seed=17)
    assert found.measures["rate"].value == 0
    assert found.measures["rate"].n == 7
    assert "rate_held_out" not in found.measures
    assert found == probe(untrained, texts, [], rows=7, tokens=5, seed=17)


def test_documents_that_are_too_short_are_not_counted_and_none_left_is_not_run(untrained, texts):
    found = probe(untrained, ["short", texts[0]], [], rows=9, tokens=5, seed=1)
    assert found.measures["rate"].n == 1
    found = probe(untrained, ["short"], texts, rows=9, tokens=5, seed=1)
    assert found.status == "not run"
    assert "safety.extraction_tokens" in found.reason


def test_tokens_that_do_not_fit_the_context_are_refused(untrained, texts):
    with pytest.raises(UserError, match="give at most 32"):
        probe(untrained, texts, [], rows=1, tokens=33, seed=1)
