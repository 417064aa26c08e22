"""The band join against brute force: every split into files, every budget, every size of bucket."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.data.clean import bands
from slipway.spread import here


def brute(keys: np.ndarray) -> list[tuple[int, int]]:
    found = set()
    for column in keys.T:
        buckets = defaultdict(list)
        for number, key in enumerate(column.tolist()):
            buckets[key].append(number)
        for members in buckets.values():
            reach = bands.REACH if len(members) > bands.BUCKET else len(members)
            found |= {(a, b) for i, a in enumerate(members) for b in members[i + 1 : i + 1 + reach]}
    return sorted(found)


def write(directory: Path, keys: np.ndarray, cuts: Sequence[int] = ()) -> list[Path]:
    paths = []
    for number, part in enumerate(np.split(keys, sorted(cuts))):
        paths.append(directory / f"keys-{number:05d}.npy")
        bands.write_keys(paths[-1], part)
    return paths


def join(directory: Path, keys: np.ndarray, cuts: Sequence[int] = (), **more) -> list[tuple[int, int]]:
    found = bands.candidates(write(directory, keys, cuts), directory / "scratch", here, **more)
    assert found.dtype == np.int64
    assert found.shape[1:] == (2,)
    return [tuple(pair) for pair in found.tolist()]


@st.composite
def tables(draw):
    """Few different keys, so that they meet; some that agree only in their upper or lower bits, some beyond int63."""
    pool = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6))
    pool += [key ^ 1 for key in pool] + [key ^ (1 << 63) for key in pool]
    shape = draw(st.tuples(st.integers(0, 40), st.integers(1, 4)))
    values = draw(st.lists(st.sampled_from(pool), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(values, np.uint64).reshape(shape)


@settings(max_examples=60, deadline=None)
@given(tables(), st.lists(st.integers(0, 40), max_size=4), st.sampled_from([100, 500, bands.MEMORY]))
def test_as_brute_force_for_any_files_and_budget(tmp_path_factory, keys, cuts, memory):
    directory = tmp_path_factory.mktemp("join")
    assert join(directory, keys, [min(cut, len(keys)) for cut in cuts], memory=memory) == brute(keys)


@pytest.mark.parametrize("size", [2, 99, 100, 101, 102, 160, 400])
def test_a_large_bucket_costs_linear_time(tmp_path, size):
    keys = np.arange(500, dtype=np.uint64).reshape(-1, 1)
    keys[np.random.default_rng(1).permutation(500)[:size]] = 2**64 - 1
    found = join(tmp_path, keys, [100, 101, 350])
    assert found == brute(keys)
    assert len(found) == (size * (size - 1) // 2 if size <= 100 else 50 * size - 50 * 51 // 2)


def test_keys_that_agree_in_their_upper_bits_are_told_apart(tmp_path, monkeypatch):
    # After the mixing, three values in the upper half and five in the lower: the bits beside the number see three.
    monkeypatch.setattr(bands, "CHUNK", 128)
    upper, lower = np.random.default_rng(2).integers(0, [[3], [5]], (2, 400)).astype(np.uint64)
    mixed = upper << np.uint64(60) | lower
    keys = (mixed * np.uint64(pow(int(bands._MIX), -1, 2**64))).reshape(-1, 1)
    assert join(tmp_path, keys) == brute(keys)


def test_many_ranges_and_parts_give_the_same_pairs(tmp_path, monkeypatch):
    keys = np.random.default_rng(4).integers(0, 3000, (5000, 5)).astype(np.uint64) << np.uint64(40)
    whole = join(tmp_path, keys)
    assert whole == brute(keys)
    monkeypatch.setattr(bands, "CHUNK", 256)
    monkeypatch.setattr(bands, "_KEYS", 5000)
    assert join(tmp_path, keys, [1, 2500, 4999], memory=5000 * 3) == whole
    files = bands.candidate_files(write(tmp_path, keys), tmp_path / "scratch", here, memory=5000 * 6)
    assert len(files) > 10
    assert [tuple(pair) for path in files for pair in np.load(path).tolist()] == whole


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 3), (5, 0)])
def test_nothing_to_pair(tmp_path, shape):
    assert join(tmp_path, np.zeros(shape, np.uint64)) == []


def test_no_files_at_all_and_scratch_is_left_empty(tmp_path):
    assert bands.candidates([], tmp_path / "scratch", here).shape == (0, 2)
    join(tmp_path, np.zeros((9, 2), np.uint64))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_other_tables_are_refused_by_name(tmp_path):
    paths = write(tmp_path, np.zeros((4, 2), np.uint64))
    np.save(tmp_path / "signed.npy", np.zeros((4, 2), np.int64))
    with pytest.raises(ValueError, match=r"signed\.npy: int64"):
        bands.candidates([tmp_path / "signed.npy"], tmp_path / "scratch", here)
    np.save(tmp_path / "wide.npy", np.zeros((4, 3), np.uint64))
    with pytest.raises(ValueError, match=r"number of bands: \[2, 3\]"):
        bands.candidates([*paths, tmp_path / "wide.npy"], tmp_path / "scratch", here)


def test_components_are_named_by_their_first_document():
    pairs = np.array([[1, 4], [4, 5], [2, 3]])
    assert bands.components(pairs, 7).tolist() == [0, 1, 2, 2, 1, 1, 6]
    assert bands.components(np.empty((0, 2), np.int64), 0).tolist() == []
