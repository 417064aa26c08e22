"""Membership inference against its definition, on models that did and did not see the documents."""

import numpy as np
import pytest

from slipway.safety.membership_inference import matched, probe


class Scripted:
    """A scorer that gives each text the scores that it spells, and no model."""

    context = 64

    def encode(self, texts):
        return [[float(word) for word in text.split()] for text in texts]

    def token_scores(self, documents):
        return [np.array(own) for own in documents]


def spelt(rows):
    return [("a", " ".join(f"{value:.3f}" for value in row)) for row in rows]


def test_areas_are_those_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    seen, unseen = -rng.exponential(1.0, (60, 20)).round(3), -rng.exponential(1.3, (60, 20)).round(3)
    found = probe(Scripted(), spelt(seen), spelt(unseen), rows=60, seed=1)
    both, truth = np.concatenate([seen, unseen]), [1] * 60 + [0] * 60
    assert found.measures["auc_loss"].value == pytest.approx(roc_auc_score(truth, both.mean(axis=1)), abs=1e-6)
    worst = np.sort(both, axis=1)[:, :4].mean(axis=1)
    assert found.measures["auc_min_k"].value == pytest.approx(roc_auc_score(truth, worst), abs=1e-6)
    larger = max(("auc_loss", "auc_min_k"), key=lambda name: found.measures[name].value)
    assert found.measures["auc"] == found.measures[larger]
    assert found.details["better_attack"] == larger
    auc = found.measures["auc"]
    assert auc.low < auc.value < auc.high
    # DeLong's standard error of this area is near 0.04.
    assert 0.1 < auc.high - auc.low < 0.25
    assert found == probe(Scripted(), spelt(seen), spelt(unseen), rows=60, seed=1)


def test_a_difference_in_wording_is_no_sign_of_memory():
    """Training documents resemble each other and held-out ones do not: the blind attack tells them apart as well."""
    rng = np.random.default_rng(1)
    common = -rng.exponential(0.9, (8, 5)).round(3)
    seen = [np.concatenate([common[i] for i in rng.integers(0, 8, 4)]) for _ in range(60)]
    unseen = -rng.exponential(1.4, (60, 20)).round(3)
    found = probe(Scripted(), spelt(seen), spelt(unseen), rows=60, seed=1)
    assert found.measures["auc"].value > 0.6
    assert found.measures["auc_blind"].value > 0.95
    assert found.measures["beyond_blind"].value < 0


def test_what_was_learnt_by_heart_is_told_from_the_rest(remembering, untrained, texts):
    train, other = ([("a", text) for text in some] for some in (texts[:10], texts[10:]))
    found = probe(remembering, train, other, rows=30, seed=17).measures
    assert found["auc"].value > 0.95
    assert found["beyond_blind"].low > 0.1
    assert found["found_at_5_percent"].value > 0.8
    train, other = ([("a", text) for text in some] for some in (texts[:20], texts[20:]))
    chance = probe(untrained, train, other, rows=30, seed=17).measures["auc_loss"]
    assert chance.low < 0.5 < chance.high


def test_sides_that_do_not_overlap_have_no_interval():
    found = probe(Scripted(), spelt([[-1.0] * 20] * 12), spelt([[-2.0] * 20] * 12), rows=12, seed=1)
    assert (found.measures["auc_loss"].value, found.measures["auc_loss"].low) == (1, None)
    assert "do not overlap" in found.measures["auc_loss"].method


def test_partners_are_of_one_source_and_length_and_used_once():
    train = [("a", "x" * 100), ("a", "x" * 110), ("b", "x" * 100), ("a", "x" * 300)]
    held_out = [("a", "y" * 101), ("a", "y" * 105), ("b", "y" * 50), ("c", "y" * 100), ("a", "y" * 290), ("a", "y")]
    pairs = matched(train, held_out, 10, np.random.default_rng(1))
    assert {held for _, held in pairs} == {0, 1, 4}
    assert len({own for own, _ in pairs}) == 3
    assert (3, 4) in pairs


def test_documents_of_one_family_are_no_further_evidence():
    """Area and its interval where all the difference lies between families: held as often as is said."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        seen, unseen = (np.repeat(-5 + rng.normal(0, 1, (24, 1)), 5, axis=0).repeat(20, axis=1) for _ in range(2))
        families = [f"f{i // 5}" for i in range(120)]
        area = probe(Scripted(), spelt(seen), spelt(unseen), rows=120, seed=1, families=families).measures["auc_loss"]
        assert area.n == 24
        held += area.low <= 0.5 <= area.high
    assert held >= 48


def test_too_few_partners_are_not_run():
    found = probe(Scripted(), spelt([[-1.0] * 20] * 9), spelt([[-2.0] * 20] * 12), rows=12, seed=1)
    assert found.status == "not run"
    assert found.reason.startswith("only 9 of 12 held-out documents have a training document")
    assert probe(Scripted(), [], spelt([[-2.0] * 20]), rows=12, seed=1).status == "not run"
