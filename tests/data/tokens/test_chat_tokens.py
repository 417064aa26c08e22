"""Conversations, completions and preferences as tokens, and the mask that says what is learnt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway import chat
from slipway.chat import CONTROL, SHA256, TEMPLATE, Chat
from slipway.data.documents import Turn, loaded
from slipway.data.tokens import bpe, tokenize
from slipway.data.tokens.codec import Codec
from slipway.data.tokens.render import rendered
from slipway.errors import Refusal, UserError
from slipway.settings import Tokenize
from tests.data.tokens.conftest import CHAT, documents, index_of, quiet, row, text_rows, write_clean

SETTINGS = Tokenize(vocabulary=330)
START, END = 1, 2
WORDS = st.lists(st.sampled_from([*CONTROL, bpe.SEPARATOR, "\n", " ", "é"]) | st.text()).map("".join)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("tokenizer")
    texts = ["user\nHi there\n", "assistant\nReturn the value\n\n", "Be brief."] * 5
    bpe.save(bpe.train(texts, 330, CONTROL), place, TEMPLATE)
    return place


def learnt(codec: Codec, ids: list[int], mask: list[int]) -> list[str]:
    """Runs of tokens that count, as text."""
    runs = np.flatnonzero(np.diff([0, *mask, 0])).reshape(-1, 2)
    return [codec._slow.decode(ids[a:b], skip_special_tokens=False) for a, b in runs]


def test_every_shape_is_packed_with_its_mask(chats):
    report = tokenize(SETTINGS, chats, quiet)
    codec = Codec(chats / "models/tokenizer", trained=True)
    found = documents(chats, "train")
    assert [learnt(codec, *document) for document in found] == [
        ["plain <|im_start|><|endoftext|>"],
        ["\nHo, é.<|im_end|>", "Return <|im_start|>.<|im_end|>"],
        ["value<|endoftext|>"],
        ["b <|im_end|><|im_end|>"],
        ["nothing at all<|im_end|>"],
        ["b<|endoftext|>"],
        ["c<|endoftext|>"],
    ]
    assert [ids.count(START) for ids, _ in found] == [0, 5, 0, 2, 2, 0, 0]
    pairs = np.load(chats / "data/tokens/train-00000.pairs.npy")
    assert pairs.tolist() == [[3, 4], [5, 6]]
    assert not (chats / "data/tokens/validation-00000.pairs.npy").exists()
    index = index_of(chats)
    assert index["splits"]["train"]["pairs"] == 2
    assert index["splits"]["train"]["learnt_bytes"] == sum(
        len(text.encode())
        for text in (
            "plain <|im_start|>",
            "\nHo, é.",
            "Return <|im_start|>.",
            "value",
            "b <|im_end|>",
            "nothing at all",
        )
    ) + len("bc")
    assert report.chat_template_sha256 == index["chat_template_sha256"] == SHA256
    assert report.learnt["train"] == sum(sum(mask) for _, mask in found) < report.tokens["train"]
    assert (chats / "models/tokenizer" / chat.FILE).read_text() == TEMPLATE


def test_users_of_the_release_get_the_same_tokens(chats):
    from transformers import AutoTokenizer

    tokenize(SETTINGS, chats, quiet)
    tokenizer = AutoTokenizer.from_pretrained(chats / "models/tokenizer", local_files_only=True)
    clean = [Turn(role, content.replace("<|", "")) for role, content in CHAT]
    (encoded,) = _encode(Codec(chats / "models/tokenizer", trained=True), [clean])
    messages = [{"role": role, "content": content} for role, content in clean]
    assert tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False) == encoded.ids.tolist()


def _encode(codec: Codec, conversations: list[list[Turn]]) -> list:
    return codec.conversations([codec.chat.parts(turns) for turns in conversations])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(chat.ROLES), WORDS).map(Turn._make), min_size=1, max_size=4))
def test_the_mask_covers_the_answers_and_what_is_said_makes_no_control_token(directory, turns):
    codec = _codec(directory)
    (encoded,) = _encode(codec, [turns])
    ids, mask = encoded.ids.tolist(), encoded.mask.tolist()
    assert [token for token in ids if token in {0, START, END}] == [START, END] * len(turns)
    assert codec._slow.decode(ids, skip_special_tokens=False) == codec.chat._render(turns)
    answers = [content for role, content in turns if role == "assistant"]
    found, start = [], 0
    for end in [place for place, token in enumerate(ids) if token == END]:
        if mask[end]:
            inside = [token for token, counts in zip(ids[start:end], mask[start:end], strict=True) if counts]
            found.append(codec._slow.decode(inside, skip_special_tokens=False))
        else:
            assert not any(mask[start:end])
        start = end + 1
    assert len(found) == len(answers)
    for text, answer in zip(found, answers, strict=True):
        # The line end after `assistant` may be in one token with the first characters of the answer.
        assert text in {answer, f"\n{answer}", f"assistant\n{answer}", f"nt\n{answer}", f"t\n{answer}"}


_CACHE: dict[Path, Codec] = {}


def _codec(directory: Path) -> Codec:
    return _CACHE.setdefault(directory, Codec(directory, trained=True))


def test_tokens_of_a_base_model(tmp_path, directory):
    """Its tokenizer as it is, its template, and control tokens out of its own list."""
    write_clean(tmp_path, {split: [row("chat", CHAT), row("text", "a </s>")] for split in ("train", "validation")})
    base = tmp_path / "models/base"
    bpe.save(bpe.train(["Return the value"], 300, ("<s>", "</s>")), base)
    config = json.loads((base / "tokenizer_config.json").read_text()) | {"bos_token": "<s>", "eos_token": "</s>"}
    template = "{{ bos_token }}{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
    (base / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    report = tokenize(Tokenize(origin="base"), tmp_path, quiet)
    assert report.origin == "base"
    assert report.tokenizer_sha256 == index_of(tmp_path)["tokenizer_sha256"]
    assert report.chat_template_sha256 == chat.digest(template)
    assert (tmp_path / "models/tokenizer/tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    codec = Codec(tmp_path / "models/tokenizer", trained=False)
    found = documents(tmp_path, "train")
    assert learnt(codec, *found[0]) == ["\nHo, é.</s>", "Return <|im_start|>.</s>"]
    # The space after the colon is in one token with the first word.
    assert found[1][0].count(codec.separator) == 1
    assert found[0][0][0] == codec._control["<s>"]


def test_base_models_that_cannot_render_or_bring_code_are_refused(tmp_path, chats):
    base = chats / "models/base"
    bpe.save(bpe.train(["a"], 300), base)
    with pytest.raises(UserError, match=r"no chat template.*<\|im_start\|> and <\|im_end\|>"):
        tokenize(Tokenize(origin="base"), chats, quiet)
    config = base / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoTokenizer": "x.Y"}}))
    with pytest.raises(UserError, match="auto_map"):
        tokenize(Tokenize(origin="base"), chats, quiet)


def test_plain_text_needs_no_template(tmp_path):
    rows = text_rows()
    rows["train"] = [*rows["train"], row("completion", [Turn("prompt", "a"), Turn("completion", "b")])]
    report = tokenize(SETTINGS, write_clean(tmp_path, rows), quiet)
    assert report.chat_template_sha256 is None
    assert report.learnt["train"] == report.tokens["train"] - 1
    assert not (tmp_path / "models/tokenizer" / chat.FILE).exists()


@pytest.mark.parametrize("shape", ["chat", "completion", "preference", "poem"])
def test_turns_that_do_not_make_the_shape_are_refused(shape):
    with pytest.raises(Refusal, match=f"do not make a document of shape '{shape}'"):
        rendered(shape, "[]" if shape == "chat" else '[["user","a"]]', Chat(TEMPLATE, CONTROL))
    assert loaded("[]") == []


def test_a_base_without_conversations_can_reserve_the_control_tokens_for_later_ones(tmp_path, chats):
    """The base learns text; who fine-tunes it has conversations, the same ids, and the template."""
    earlier = write_clean(tmp_path / "earlier", text_rows())
    made = tokenize(Tokenize(vocabulary=400, conversations=True), earlier, quiet)
    directory = earlier / "models/tokenizer"
    assert (made.vocabulary, made.chat_template_sha256) == (400, None)
    assert not (directory / chat.FILE).exists()
    assert json.loads((directory / "tokenizer_config.json").read_text())["split_special_tokens"] is True
    plain = Codec(directory, trained=True)
    assert plain.stops == [plain.separator]
    assert not {START, END} & set(plain.texts(["<|im_start|>user<|im_end|>"])[0].tolist())
    shutil.copytree(directory, chats / "models/base")
    report = tokenize(Tokenize(origin="base"), chats, quiet)
    assert report.tokenizer_sha256 == made.tokenizer_sha256
    assert report.chat_template_sha256 == SHA256
    codec = Codec(chats / "models/tokenizer", trained=False)
    assert codec.vocabulary == made.vocabulary
    assert codec.stops == [codec.separator, END]
    assert learnt(codec, *documents(chats, "train")[1])[-1] == "Return <|im_start|>.<|im_end|>"
