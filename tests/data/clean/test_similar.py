"""Similar pairs against the exact Jaccard index of every pair; fingerprints; how sketches are cut."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from slipway.data.clean.duplicates import components, exact, near
from slipway.data.clean.similar import fingerprint
from slipway.data.clean.sketch import SHINGLE, bands_for, shingles
from slipway.data.clean.words import words

from .corpora import prose, similar_pairs


def _texts() -> list[str]:
    """60 families of a text and three variants with every 8th, 16th or 40th word changed."""
    texts = []
    for family in range(60):
        whole = prose(family, words=60 + family).split()
        texts.append(" ".join(whole))
        for variant in (8, 16, 40):
            other = prose(family, variant, words=len(whole)).split()
            changed = [o if p % variant == 0 else w for p, (w, o) in enumerate(zip(whole, other, strict=True))]
            texts.append("  ".join(changed).upper())
    return texts


def _exact(texts: list[str], least: float) -> dict[tuple[int, int], float]:
    sets = []
    for text in texts:
        found = re.findall(r"\w+", text.lower())
        sets.append({tuple(found[i : i + SHINGLE]) for i in range(max(1, len(found) - SHINGLE + 1))})
    values = {(i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in itertools.combinations(range(240), 2)}
    return {pair: value for pair, value in values.items() if value >= least}


def test_no_false_pair_and_nearly_all_true_pairs(tmp_path):
    texts = _texts()
    truth = _exact(texts, 0.5)
    found = similar_pairs(tmp_path, texts, 0.5)
    assert len(truth) > 100
    assert found.keys() <= truth.keys()
    assert len(found) >= 0.98 * len(truth)
    assert all(abs(value - truth[pair]) < 1e-6 for pair, value in found.items())


def test_short_texts_are_one_shingle_and_texts_without_words_are_similar_to_nothing():
    found = shingles(words(["two words", "Two, words!", "other words", "", "…", "a b c d", "a b c d e f"]))
    sets = [found.sets[a:b].tolist() for a, b in itertools.pairwise(found.set_starts)]
    assert sets[0] == sets[1] != sets[2]
    assert [len(one) for one in sets] == [1, 1, 1, 0, 0, 1, 2]


def test_a_shingle_counts_once_in_the_set_and_each_time_in_the_text():
    found = shingles(words(["a b c d e " * 4]))
    assert np.diff(found.starts).tolist() == [16]
    assert np.diff(found.set_starts).tolist() == [5]


@pytest.mark.parametrize(
    "text",
    [
        "今天我们讨论如何在多台机器上清理训练数据，以及为什么重复的文档必须被删除。这是一个例子。" * 2,
        "วันนี้เราจะพูดถึงวิธีทำความสะอาดข้อมูลสำหรับการฝึกบนหลายเครื่อง และเหตุใดเอกสารที่ซ้ำกันจึงต้องถูกลบออก",
        "आज हम बात करेंगे कि कई मशीनों पर प्रशिक्षण के आँकड़ों को कैसे साफ़ किया जाए और दोहराए गए दस्तावेज़ क्यों हटाने चाहिए",
    ],
)
def test_near_copies_in_scripts_without_spaces_or_with_vowel_signs(tmp_path, text):
    other = text[:-3] + text[:2]
    unlike = text[::-1]
    assert similar_pairs(tmp_path, [text, other, unlike], 0.7).keys() == {(0, 1)}


def test_vowel_signs_do_not_end_a_word():
    assert len(words(["किताब"]).hashes) == 1


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_a_pair_at_the_threshold_is_found_and_sketches_stay_small(threshold):
    bands = bands_for(threshold)
    assert bands.found(threshold) >= 0.99
    assert bands.bands * bands.rows <= 128


def test_fingerprint_levels_case_space_and_compatibility_forms():
    assert fingerprint("A  ﬁle\n") == fingerprint("a file")
    assert fingerprint("a file") != fingerprint("a fire")
    assert len(fingerprint("")) == 16


def test_of_equal_fingerprints_the_smallest_id_stays():
    prints = np.array([[1, 1], [2, 1], [1, 1], [1, 2], [1, 1]], np.uint64)
    found = exact(prints, np.array([4, 0, 2, 1, 3]))
    assert sorted(zip(found.documents.tolist(), found.kept.tolist(), strict=True)) == [(0, 2), (4, 2)]


def test_clusters_are_connected_components():
    pairs = np.array([[0, 1], [1, 2], [3, 4]])
    found = near(pairs, np.array([0.9, 0.8, 1.0], np.float32), np.array([2, 1, 0, 3, 4]))
    rows = zip(found.documents.tolist(), found.kept.tolist(), found.neighbours.tolist(), strict=True)
    assert sorted(rows) == [(0, 2, 1), (1, 2, 0), (4, 3, 3)]


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_those_of_scipy(case):
    documents, ties = case
    pairs = np.array(ties, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(documents, documents))
    _, label = connected_components(graph, directed=False)
    expected = [int(np.flatnonzero(label == label[number])[0]) for number in range(documents)]
    assert components(pairs, documents).tolist() == expected


def test_a_long_chain_is_one_component():
    order = np.random.default_rng(1).permutation(100_000)
    assert not components(np.stack([order[:-1], order[1:]], axis=1), len(order)).any()
