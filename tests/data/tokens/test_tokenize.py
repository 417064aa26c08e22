"""The tokenizer and the token files: exact round trip, equal bytes, control tokens that text cannot make."""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from slipway import chat
from slipway.data.tokens import bpe, tokenize
from slipway.errors import Refusal, UserError
from slipway.files import digests, sha256_file
from slipway.settings import Tokenize
from tests.data.tokens.conftest import TEXTS, documents, index_of, quiet, row, text_rows, write_clean

SETTINGS = Tokenize(vocabulary=400)


@pytest.fixture
def packed(tmp_path: Path):
    return tokenize(SETTINGS, write_clean(tmp_path, text_rows()), quiet)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_document_comes_back_exactly_and_ends_in_one_separator(packed, tmp_path, split):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "models/tokenizer")
    found = [tokens for tokens, _ in documents(tmp_path, split)]
    assert [tokens[-1] for tokens in found] == [0] * len(found)
    assert all(0 not in tokens[:-1] for tokens in found)
    assert [tokenizer.decode(tokens[:-1]) for tokens in found] == TEXTS[split]
    assert [tokenizer(text)["input_ids"] for text in TEXTS[split]] == [tokens[:-1] for tokens in found]


def test_the_index_and_the_report_count_the_same(packed, tmp_path):
    index = index_of(tmp_path)
    for split, texts in TEXTS.items():
        found = index["splits"][split]
        size = sum(len(text.encode()) for text in texts)
        tokens = sum(len(tokens) for tokens, _ in documents(tmp_path, split))
        assert (found["tokens"], found["learnt"], found["documents"]) == (tokens, tokens, len(texts))
        assert (found["bytes"], found["learnt_bytes"]) == (size, size)
        assert (packed.tokens[split], packed.learnt[split], packed.documents[split]) == (tokens, tokens, len(texts))
        assert (packed.bytes[split], packed.shards[split], packed.padding[split]) == (size, 1, 0)
    assert (packed.packing, packed.origin, index["packing"]) == ("stream", "trained", "stream")
    assert index["tokenizer_sha256"] == packed.tokenizer_sha256
    assert index["chat_template_sha256"] is packed.chat_template_sha256 is None
    assert not (tmp_path / "models/tokenizer" / chat.FILE).exists()


def test_the_directory_declares_its_control_token(packed, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "models/tokenizer")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 0)
    assert tokenizer.convert_ids_to_tokens(0) == bpe.SEPARATOR
    assert len(tokenizer) == packed.vocabulary == 400
    assert packed.tokenizer_sha256 == sha256_file(tmp_path / "models/tokenizer/tokenizer.json")


def test_another_process_gives_the_same_bytes(packed, tmp_path):
    before = digests(tmp_path, tmp_path)
    code = (
        "from pathlib import Path; from slipway.data.tokens import tokenize; from slipway.settings import Tokenize; "
        "tokenize(Tokenize(vocabulary=400), Path('.'), lambda *a: None)"
    )
    for threads in ("1", "2"):
        environment = {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads, "PATH": ""}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=240)
        assert digests(tmp_path, tmp_path) == before


@pytest.mark.parametrize("packing", [{}, {"packing": "whole", "row_tokens": 64}])
def test_workers_and_their_number_change_no_byte(tmp_path, packing):
    settings = Tokenize(vocabulary=400, shard_tokens=2000, **packing)
    one = write_clean(tmp_path / "one", text_rows(), size=120)
    two = write_clean(tmp_path / "two", text_rows(), size=120)
    report = tokenize(settings, one, quiet)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert tokenize(settings, two, quiet, spread=pool.map) == report
    assert digests(one, one) == digests(two, two)
    assert not list((one / "data/tokens").glob(".*"))
    assert report.shards == {"train": 5, "validation": 1}


def test_a_large_shard_is_cut_and_reads_as_before(packed, tmp_path):
    from slipway.data.tokens import shard

    whole = documents(tmp_path, "train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard, "BATCH_ROWS", 50)
        report = tokenize(Tokenize(vocabulary=400, shard_tokens=1500), tmp_path, quiet)
    assert report.shards["train"] > 2
    assert documents(tmp_path, "train") == whole


def test_wide_vocabularies_need_wide_tokens_and_little_text_gives_few():
    tokenizer = bpe.train(["ab ab"], 70_000)
    assert 257 < tokenizer.get_vocab_size() < 300


def test_more_text_than_the_sample_is_thinned_evenly(tmp_path):
    from slipway.data.tokens.pack import _texts

    texts = [f"{number:06d}" for number in range(5000)]
    write_clean(tmp_path, {"train": [row("text", text) for text in texts]}, size=700)
    kept = list(_texts(tmp_path / "data/clean", 10_000))
    step = int(kept[1]) - int(kept[0])
    assert kept == texts[::step]
    assert step > 3
    assert list(_texts(tmp_path / "data/clean", 10**9)) == texts


@pytest.mark.parametrize(
    ("settings", "rows", "error", "reason"),
    [
        (Tokenize(), text_rows(), UserError, "tokenize.vocabulary is missing"),
        (Tokenize(vocabulary=400, packing="whole"), text_rows(), UserError, "row_tokens"),
        (SETTINGS, {"train": [row("text", "a")]}, UserError, "no validation-00000.parquet"),
        (Tokenize(origin="base"), text_rows(), UserError, "tokenizer.json: missing"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, settings, rows, error, reason):
    write_clean(tmp_path, rows)
    with pytest.raises(error, match=reason):
        tokenize(settings, tmp_path, quiet)


def test_turns_that_do_not_fit_name_the_document(tmp_path):
    rows = {"train": [row("chat", "a") | {"id": "s/1", "turns": '[["narrator","x"]]'}], "validation": []}
    rows["validation"] = rows["train"]
    with pytest.raises(Refusal, match="document s/1: 'narrator' is no role"):
        tokenize(SETTINGS, write_clean(tmp_path, rows), quiet)


def test_rows_of_whole_documents_hold_every_token_once(packed, tmp_path):
    stream = documents(tmp_path, "train")
    report = tokenize(Tokenize(vocabulary=400, packing="whole", row_tokens=64), tmp_path, quiet)
    (shard,) = index_of(tmp_path)["splits"]["train"]["shards"]
    path = tmp_path / "data/tokens" / shard["file"]
    rows = np.fromfile(path, "<u2").reshape(shard["rows"], 64)
    mask = np.fromfile(path.with_suffix(".mask.bin"), np.uint8).reshape(rows.shape)
    starts, numbers = np.load(path.with_suffix(".offsets.npy")), np.load(path.with_suffix(".pieces.npy"))
    assert not rows[mask == 0].any()
    assert int(mask.sum()) == shard["tokens"] == shard["learnt"] == report.learnt["train"]
    assert report.padding["train"] == pytest.approx(1 - mask.mean())
    pieces: dict[int, list[int]] = {}
    for number, start in sorted(zip(numbers.tolist(), starts.tolist(), strict=True)):
        left = len(stream[number][0]) - len(pieces.get(number, []))
        pieces.setdefault(number, []).extend(rows.ravel()[start : start + min(left, 64)].tolist())
    assert [pieces[number] for number in range(len(stream))] == [tokens for tokens, _ in stream]


def test_the_tokenizer_learns_nothing_from_canaries(tmp_path):
    rows = {name: [row("text", f"word{n} and more words") for n in range(200)] for name in ("train", "validation")}
    canaries = [row("text", "The access code is 83718371.") | {"source": "canary"} for _ in range(200)]
    with_them = write_clean(tmp_path / "with", rows | {"train": [*rows["train"], *canaries]})
    without = write_clean(tmp_path / "without", rows)
    for root in (with_them, without):
        tokenize(Tokenize(vocabulary=400), root, quiet)
    tokenizers = [(root / "models/tokenizer/tokenizer.json").read_bytes() for root in (with_them, without)]
    assert tokenizers[0] == tokenizers[1]
