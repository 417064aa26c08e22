"""Similar pairs against the exact Jaccard index of every pair."""

import hashlib
import itertools
import re

import numpy as np

from slipway.data.clean.similar import SHINGLE, fingerprint, pairs


def _word(*parts: object) -> str:
    return "w" + hashlib.sha256(repr(parts).encode()).hexdigest()[:4]


def _texts() -> list[str]:
    """60 families of a text and three variants with every 8th, 16th or 40th word changed."""
    texts = []
    for family in range(60):
        words = [_word(family, place) for place in range(60 + family)]
        texts.append(" ".join(words))
        for variant in (8, 16, 40):
            changed = [_word(family, variant, p) if p % variant == 0 else w for p, w in enumerate(words)]
            texts.append("  ".join(changed).upper())
    return texts


def _exact(texts: list[str]) -> dict[tuple[int, int], float]:
    sets = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        sets.append({tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))})
    return {
        (i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in itertools.combinations(range(len(sets)), 2)
    }


def test_no_false_pair_and_nearly_all_true_pairs():
    texts = _texts()
    truth = {pair: value for pair, value in _exact(texts).items() if value >= 0.5}
    found, similarity = pairs(texts, 0.5)
    values = {(int(i), int(j)): float(value) for (i, j), value in zip(found, similarity, strict=True)}
    assert len(truth) > 100
    assert values.keys() <= truth.keys()
    assert len(values) >= 0.98 * len(truth)
    assert all(abs(value - truth[pair]) < 1e-12 for pair, value in values.items())


def test_short_texts_and_few_texts():
    assert pairs([], 0.5)[0].shape == (0, 2)
    assert pairs(["one"], 0.5)[0].shape == (0, 2)
    found, similarity = pairs(["two words", "Two, words!", "other words", "", "…"], 0.9)
    assert found.tolist() == [[0, 1], [3, 4]]
    assert similarity.tolist() == [1.0, 1.0]


def test_a_huge_bucket_costs_linear_work_and_still_joins_neighbours():
    boilerplate = " ".join(_word("boiler", n) for n in range(80))
    texts = [f"{boilerplate} {_word(n)}" for n in range(400)]
    found, _ = pairs(texts, 0.9)
    assert len(found) < 400 * 60
    assert {(int(i), int(j)) for i, j in found} >= set(itertools.pairwise(range(400)))


def test_the_same_texts_give_the_same_pairs():
    texts = _texts()
    first, second = pairs(texts, 0.3), pairs(texts, 0.3)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_fingerprint_levels_case_space_and_compatibility_forms():
    assert fingerprint("A  ﬁle\n") == fingerprint("a file")
    assert fingerprint("a file") != fingerprint("a fire")
