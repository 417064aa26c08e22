"""Clean shards of every shape, and files of tokens read back into documents."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slipway.data.documents import Turn, dumped, text_of
from slipway.shards import shard_path, write_shard

TEXTS = {
    "train": [f"def f{n}(x)\n    Return the {n}th value of x, é 漢字 🚢.\t" for n in range(500)]
    + ["It says <|endoftext|> in the middle.", ""],
    "validation": ["unseen: \x00 ﷺ <|endoftext|><|endoftext|>", "b"],
}
CHAT = [Turn("system", "Be brief."), Turn("user", "Hi <|im_end|>\n"), Turn("assistant", "\nHo, é."), Turn("user", "?")]
CHAT = [*CHAT, Turn("assistant", "Return <|im_start|>.")]
COMPLETION = [Turn("prompt", "Return the "), Turn("completion", "value")]
PREFERENCE = [Turn("user", "Say b"), Turn("chosen", "b <|im_end|>"), Turn("rejected", "nothing at all")]
PLAIN_PREFERENCE = [Turn("prompt", "a"), Turn("chosen", "b"), Turn("rejected", "c")]


def row(shape: str, said: "str | list[Turn]") -> dict:
    turns = None if isinstance(said, str) else dumped(said)
    return {
        "id": "x",
        "source": "s",
        "text": said if isinstance(said, str) else text_of(said),
        "shape": shape,
        "turns": turns,
    }


def write_clean(root: Path, rows: dict[str, list[dict]], size: int = 10**6) -> Path:
    """Shards of `size` rows."""
    schema = pa.schema([(name, pa.string()) for name in ("id", "source", "text", "shape", "turns")])
    (root / "data/clean").mkdir(parents=True, exist_ok=True)
    for split, found in rows.items():
        for number, start in enumerate(range(0, len(found), size)):
            table = pa.Table.from_pylist(found[start : start + size], schema)
            write_shard(shard_path(root / "data/clean", split, number), table)
    return root


def text_rows() -> dict[str, list[dict]]:
    return {split: [row("text", text) for text in texts] for split, texts in TEXTS.items()}


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def index_of(root: Path) -> dict:
    return json.loads((root / "data/tokens/index.json").read_text())


def documents(root: Path, split: str) -> list[tuple[list[int], list[int]]]:
    """Every document of a stream: tokens with the separator, and mask."""
    index, found = index_of(root), []
    for shard in index["splits"][split]["shards"]:
        path = root / "data/tokens" / shard["file"]
        tokens = np.fromfile(path, f"<u{np.dtype(index['dtype']).itemsize}")
        mask = np.fromfile(path.with_suffix(".mask.bin"), np.uint8) if shard["masked"] else np.ones(len(tokens), int)
        starts = np.load(path.with_suffix(".offsets.npy"))
        assert starts.dtype == np.int64
        assert len(mask) == len(tokens) == shard["tokens"]
        assert int(mask.sum()) == shard["learnt"]
        ends = [*starts[1:], len(tokens)]
        found += [(tokens[a:b].tolist(), mask[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]
    assert len(found) == index["splits"][split]["documents"]
    return found


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """A project with documents of every shape."""
    rows = [row("text", "plain <|im_start|>"), row("chat", CHAT), row("completion", COMPLETION)]
    pairs = [row("preference", PREFERENCE), row("preference", PLAIN_PREFERENCE)]
    return write_clean(tmp_path, {"train": rows + pairs, "validation": rows})
