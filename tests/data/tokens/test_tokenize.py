"""The tokenizer and the packed files: exact round trip, equal bytes, control tokens that text cannot make."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data.tokens import bpe, tokenize
from slipway.files import digests, sha256_file
from slipway.settings import Tokenize

TEXTS = {
    "train": [f"def f{n}(x)\n    Return the {n}th value of x, é 漢字 🚢.\t" for n in range(500)]
    + ["It says <|endoftext|> in the middle.", ""],
    "validation": ["unseen: \x00 ﷺ <|endoftext|><|endoftext|>", "b"],
}


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def packed(tmp_path: Path):
    (tmp_path / "data" / "clean").mkdir(parents=True)
    for split, texts in TEXTS.items():
        pq.write_table(pa.table({"text": texts}), tmp_path / "data" / "clean" / f"{split}.parquet")
    return tokenize(Tokenize(vocabulary=400), tmp_path, quiet)


def _documents(root: Path, split: str) -> list[list[int]]:
    index = json.loads((root / "data/tokens/index.json").read_text())
    tokens = np.memmap(root / f"data/tokens/{split}.bin", dtype=f"<u{np.dtype(index['dtype']).itemsize}", mode="r")
    starts = np.load(root / f"data/tokens/{split}.offsets.npy")
    assert starts.dtype == np.int64
    assert index["splits"][split] == {
        "tokens": len(tokens),
        "documents": len(starts),
        "bytes": sum(len(text.encode()) for text in TEXTS[split]),
    }
    return [tokens[a:b].tolist() for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_document_comes_back_exactly_and_ends_in_one_separator(packed, tmp_path, split):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "models/tokenizer")
    documents = _documents(tmp_path, split)
    assert [document[-1] for document in documents] == [0] * len(documents)
    assert all(0 not in document[:-1] for document in documents)
    assert [tokenizer.decode(document[:-1]) for document in documents] == TEXTS[split]
    assert [tokenizer(text)["input_ids"] for text in TEXTS[split]] == [document[:-1] for document in documents]


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
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=60)
        assert digests(tmp_path, tmp_path) == before


def test_wide_vocabularies_need_wide_tokens_and_little_text_gives_few():
    tokenizer = bpe.train(["ab ab"], 70_000)
    assert 257 < tokenizer.get_vocab_size() < 300
