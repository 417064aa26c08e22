"""Baselines against what the tools themselves, or a slow and plain reading of the method, give."""

import gzip
import lzma
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest

from slipway.evaluation.baselines import baselines, ngram_nats


def plain_witten_bell(train: bytes, test: bytes, order: int) -> list[float]:
    counts = [defaultdict(Counter) for _ in range(order)]
    padded = b"\n" * (order - 1) + train
    for i in range(order - 1, len(padded)):
        for size in range(order):
            counts[size][padded[i - size : i]][padded[i]] += 1
    padded, nats = b"\n" * (order - 1) + test, []
    for i in range(order - 1, len(padded)):
        p = 1 / 256
        for size in range(order):
            seen = counts[size].get(padded[i - size : i])
            if seen:
                p = (seen[padded[i]] + len(seen) * p) / (seen.total() + len(seen))
        nats.append(-np.log(p))
    return nats


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (b"the cat sat on the mat. the cat ate.", b"the mat ate the cat"),
        (b"aaaa", b"aaab\xff"),
        (b"", b"abc"),
        (bytes(range(256)) * 3, bytes(range(255, -1, -1))),
    ],
)
def test_ngram_equals_the_plain_method(train, test):
    assert ngram_nats(train, test) == pytest.approx(plain_witten_bell(train, test, 5), abs=1e-12)


def test_ngram_is_a_distribution():
    train = b"abracadabra, said the magician"
    contexts = [b"abra", b"zzzz", b" the"]
    for context in contexts:
        total = sum(np.exp(-ngram_nats(train, context + bytes([byte]))[-1]) for byte in range(256))
        assert total == pytest.approx(1)


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = [f"word{i}é" for i in range(60)]
    return [" ".join(rng.choice(words, 30)) for _ in range(count)]


def test_all_baselines_share_text_and_divisor():
    test = texts(20, 1)
    found = baselines(texts(300, 2), test, [str(i) for i in range(len(test))], 200, 3)
    joined = "\n".join(test).encode()
    size = sum(len(text.encode()) for text in test)
    assert found["xz"].value == pytest.approx(
        8 * len(lzma.compress(joined, preset=9 | lzma.PRESET_EXTREME)) / size, abs=1e-6
    )
    assert found["gzip"].value == pytest.approx(8 * len(gzip.compress(joined, 9)) / size, abs=1e-6)
    nats = ngram_nats("\n".join(texts(300, 2)).encode(), joined)
    assert found["byte_5gram"].value == pytest.approx(nats.sum() / np.log(2) / size, abs=1e-6)
    assert found["byte_5gram"].low < found["byte_5gram"].value < found["byte_5gram"].high
    assert "with a dictionary of" in found["zstd_dictionary"].method
    assert found["zstd_dictionary"].value < found["gzip"].value
    assert {measure.n for measure in found.values()} == {20}
    assert baselines(texts(300, 2), test, [str(i) for i in range(len(test))], 200, 3) == found


def test_too_little_text_for_a_dictionary_is_said():
    found = baselines(["one"], ["two"], ["a"], 100, 0)
    assert "without a dictionary" in found["zstd_dictionary"].method
    assert found["byte_5gram"].low is None


def test_importing_the_rooms_of_tasks_and_baselines_is_light():
    code = (
        "import sys, slipway.evaluation.baselines, slipway.evaluation.documents, slipway.evaluation.tasks.signature;"
        "sys.exit(bool({'torch', 'scipy', 'pandas', 'pyarrow', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
