"""tiktoken and `tokenizers` make the same tokens of whatever text, and text never makes a control token."""

import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.chat import CONTROL
from slipway.data.tokens import bpe, codec, fast
from slipway.data.tokens.codec import Codec
from slipway.errors import Refusal

SAMPLE = [
    "Return the value of x's array.\n\n    It isn't 123 or é 漢字.\t" * 3,
    "we'll say that they've done it, don't",
] * 5
PIECES = st.sampled_from(
    [bpe.SEPARATOR, *CONTROL, "<|", "|>", "'s", "'ll", " ", "\n", "\r", "\u3000", "é", "٣", "\x00"]
)
TEXT = st.lists(PIECES | st.text()).map("".join)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("tokenizer")
    bpe.save(bpe.train(SAMPLE, 600, CONTROL), place)
    return place


@pytest.fixture(scope="module")
def codecs(directory) -> tuple[Codec, Codec]:
    return Codec(directory, trained=True, threads=2), Codec(directory, trained=False)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=5))
def test_any_text_comes_back_and_holds_no_control_token(codecs, texts):
    quick, slow = codecs
    found = quick.texts(texts)
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in slow.texts(texts)]
    assert [slow._slow.decode(ids.tolist(), skip_special_tokens=False) for ids in found] == texts
    assert all(ids.min(initial=9) > 2 for ids in found)
    assert {slow._control[name] for name in (bpe.SEPARATOR, *CONTROL)} == {0, 1, 2}


def test_both_class_every_character_alike(directory):
    """The tables of letters, digits and white space decide where text is split, so all of them are compared."""
    quick = Codec(directory, trained=True)
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    # Each after a letter, a digit, a sign and white space: whichever it joins, it is of that class.
    table = fast.byte_of_character()
    shown = {byte: character for character, byte in table.items()}
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {shown[byte]: byte for byte in range(256)}
    merges = [(shown[ord(before)], shown[byte]) for before in "a1!\n" for byte in range(256)]
    for pair in merges:
        vocabulary.setdefault("".join(pair), len(vocabulary))
    both = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    both.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    quick._fast = fast.Fast(both.to_str())
    for start in range(0, len(characters), 1 << 15):
        block = characters[start : start + (1 << 15)]
        # Unassigned ones stand for themselves: one in sixteen is enough.
        chosen = [c for n, c in enumerate(block) if n % 16 == 0 or unicodedata.category(c) not in {"Cn", "Co"}]
        texts = ["".join(f"a{c}1{c}!{c}\n{c}" for c in chosen[at : at + 256]) for at in range(0, len(chosen), 256)]
        known = [encoding.ids for encoding in both.encode_batch_fast(texts, add_special_tokens=False)]
        assert [ids.tolist() for ids in quick._fast.encode_all(texts)] == known


@pytest.mark.parametrize("text", [" " * fast.LONGEST, "\n" * (fast.LONGEST - 1) + "x", " " * 3 * fast.LONGEST + "x"])
def test_long_runs_of_white_space_do_no_harm(codecs, text):
    quick, slow = codecs
    assert quick.texts([text])[0].tolist() == slow.texts([text])[0].tolist()


def test_encoders_that_disagree_are_refused(directory, monkeypatch):
    monkeypatch.setattr(fast.Fast, "encode_all", lambda _self, texts: [np.array([5], np.uint32) for _ in texts])
    with pytest.raises(Refusal, match="different tokens of a text that begins with 'Return'"):
        Codec(directory, trained=True).texts(["Return"])


def test_only_the_first_texts_are_encoded_twice(directory, monkeypatch):
    quick, seen = Codec(directory, trained=True), []
    slow = quick._checked
    monkeypatch.setattr(quick, "_checked", lambda texts: seen.extend(texts) or slow(texts))
    for _ in range(3):
        quick.texts(["a"] * 50)
    assert len(seen) == codec.CHECKED
