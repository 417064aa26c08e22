"""Figures of quality against plain Python, and what is not rejected."""

import pytest

from slipway.data.clean import quality
from slipway.data.clean.sketch import shingles
from slipway.data.clean.words import words, words_and_lines
from slipway.settings import Quality

from .corpora import prose

CODE = "def f(x, *, y=None):\n    return {k: v for k, v in x.items() if k != y}\n"
CLEAN = [
    "An ordinary sentence, with commas; nothing odd (really) about it.",
    CODE,
    "Parameters\n----------\nx : array_like\n    Input.\ny : array_like\n    Input.\n",
    "今天我们讨论如何在多台机器上清理训练数据，以及为什么重复的文档必须被删除。",
    "วันนี้เราจะพูดถึงวิธีทำความสะอาดข้อมูลสำหรับการฝึกบนหลายเครื่อง",
    "आज हम बात करेंगे कि कई मशीनों पर आँकड़ों को कैसे साफ़ किया जाए",
    "مرحبا بكم في هذا المثال القصير",
    "",
    "…",
]


def _figures(texts):
    found, lines = words_and_lines(texts)
    return quality.figures(texts, found, lines, shingles(found))


def test_characters_are_counted_as_python_counts_them():
    texts = [*CLEAN, "a_b 1!? é— ☃"]
    for text, share in zip(texts, _figures(texts).symbol_share, strict=True):
        if text.isascii():
            visible = "".join(text.split())
            expected = sum(not c.isalnum() for c in visible) / max(len(visible), 1)
            assert share == pytest.approx(expected)
    assert _figures(["a_b 1!? é— ☃"]).symbol_share[0] == pytest.approx(5 / 9)
    assert _figures(["आँकड़ों को"]).symbol_share[0] == 0


def test_repetition_is_counted_from_the_second_time_on():
    found = _figures(["one line\nother\none line\nOne  line!\n", "a b c d e a b c d e a", "x y"])
    assert found.repeated_lines[0] == pytest.approx((9 + 11) / (9 + 6 + 9 + 11 + 1), abs=0.03)
    assert found.repeated_words[1] == pytest.approx(2 / 7)
    assert found.repeated_words[2] == 0


def test_the_length_of_words():
    assert _figures(["aa bbbb", "x" * 90]).word_characters.tolist() == [3, 90]


def test_ordinary_texts_in_many_scripts_pass():
    assert quality.faults(_figures(CLEAN[:-1]), Quality()) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#$% " * 50 + "end", "too many symbols"),
        ("the same line\n" * 20 + prose(1, words=20), "repeated lines"),
        ("one two three four five " * 40, "repeated words"),
        ("x" * 900, "overlong words"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_named(text, reason):
    faulty = quality.faults(_figures(["fine words here", text]), Quality())
    assert [(place, found) for place, (found, _) in faulty.items()] == [(1, reason)]


def test_lines_are_counted_once_per_document():
    _, lines = words_and_lines(["a b\na b\nc d", "a b", "c d e"])
    slots, documents = quality.count_lines(quality.line_slots(lines), lines.starts)
    assert sorted(documents.tolist()) == [1, 1, 2]
    common = slots[documents == 2]
    share = quality.boilerplate_share(quality.line_slots(lines), lines.sizes, lines.starts, common)
    assert share.tolist() == [8 / 12, 1.0, 0.0]


def test_words_with_lines_are_the_same_words_and_a_subset_can_be_taken():
    import numpy as np

    texts = [*CLEAN, prose(1, words=5000), *[prose(n, words=900) for n in range(60)]]
    found, lines = words_and_lines(texts)
    assert np.array_equal(found.hashes, words(texts).hashes)
    assert np.array_equal(found.starts, words(texts).starts)
    keep = np.arange(len(texts)) % 3 == 1
    some, some_lines = words_and_lines([text for text, stays in zip(texts, keep, strict=True) if stays])
    assert np.array_equal(found.take(keep).hashes, some.hashes)
    assert np.array_equal(lines.take(keep).hashes, some_lines.hashes)
    assert np.array_equal(lines.take(keep).sizes, some_lines.sizes)
