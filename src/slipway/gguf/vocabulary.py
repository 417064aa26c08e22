"""tokenizer.json to llama.cpp's vocabulary: byte-level BPE whose way of cutting text llama.cpp knows exactly.

llama.cpp does not read the pattern that cuts text into words; it knows some by name. A tokenizer is exported only
if its pattern is one of those, and nothing else in it (a normaliser, another model, trimmed tokens) would make other
tokens of the same text. `benchmarks/gguf_llama_cpp.py` compares the two.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from slipway.errors import UserError
from slipway.gguf.layout import ARRAY, BOOL, INT32, STRING, UINT32, Entry

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Types of tokens: in running text a control token is not looked for, a user-defined one always is."""


class Cut(NamedTuple):
    """A way of cutting text into words."""

    name: str
    """llama.cpp's, `tokenizer.ggml.pre`."""
    whole_words: bool
    """A word that is a token stays one, whatever the merges say (`ignore_merges`)."""


_ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS: Mapping[str | None, Cut] = {
    None: Cut("gpt-2", whole_words=False),
    rf"{_ENGLISH}\p{{N}}{_REST}": Cut("qwen2", whole_words=False),
    rf"{_ENGLISH}\p{{N}}{{1,3}}{_REST}": Cut("llama-bpe", whole_words=True),
}
"""Pattern -> name; None is the one that is built into the library's byte-level cutter, GPT-2's."""
_SPECIAL = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}
_PLAIN = {"dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}


def _refused(what: str) -> UserError:
    return UserError(
        f"tokenizer.json: {what}, and llama.cpp would make other tokens of the same text, so no GGUF can be made of "
        "this model; leave `bundle.gguf` empty, or train the tokenizer (`tokenize.origin: trained`)"
    )


def characters() -> set[str]:
    """The 256 characters that stand for bytes (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {chr(byte) for byte in shown} | {chr(256 + place) for place in range(256 - len(shown))}


def _parts(value: Any, listed: str) -> list[dict[str, Any]]:
    """A part of a tokenizer, or the parts of a sequence."""
    if value is None:
        return []
    found = value.get(listed) if isinstance(value, dict) and value.get("type") == "Sequence" else [value]
    if not isinstance(found, list) or any(not isinstance(part, dict) for part in found):
        raise _refused(f"{listed} is not a list of parts")
    return found


def _cut(tokenizer: Mapping[str, Any]) -> Cut:
    parts = _parts(tokenizer.get("pre_tokenizer"), "pretokenizers")
    pattern: Any = None
    if len(parts) == 2 and parts[0].get("type") == "Split":
        split, *parts = parts
        pattern = split["pattern"].get("Regex") if isinstance(split.get("pattern"), dict) else ""
        if split.get("behavior") != "Isolated" or split.get("invert") is not False or not isinstance(pattern, str):
            raise _refused("text is not cut by a pattern alone")
    wanted = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": pattern is None}
    if len(parts) != 1 or any(parts[0].get(key) != value for key, value in wanted.items()) or pattern not in PATTERNS:
        raise _refused("text is cut into words in a way that is not among those known to be llama.cpp's")
    return PATTERNS[pattern]


def _begins(tokenizer: Mapping[str, Any], begin: str | None) -> bool:
    """Whether a text gets the token that begins it; nothing else may be added to a text."""
    added = False
    for part in _parts(tokenizer.get("post_processor"), "processors"):
        if part.get("type") == "ByteLevel":
            continue
        single = part.get("single") if part.get("type") == "TemplateProcessing" else None
        text = {"Sequence": {"id": "A", "type_id": 0}}
        if begin is not None and single == [{"SpecialToken": {"id": begin, "type_id": 0}}, text]:
            added = True
        elif single != [text]:
            raise _refused("more than the beginning is added to each text")
    return added


def _model(tokenizer: Mapping[str, Any], cut: Cut) -> tuple[dict[str, int], list[str]]:
    """(vocabulary, merges as the file holds them)."""
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or model.get("byte_fallback") not in (None, False):
        raise _refused("the model is no byte-level BPE")
    if [part.get("type") for part in _parts(tokenizer.get("decoder"), "decoders")] != ["ByteLevel"]:
        raise _refused("tokens are not put together byte by byte")
    if tokenizer.get("normalizer") is not None:
        raise _refused("text is normalised first")
    if tokenizer.get("truncation") is not None or tokenizer.get("padding") is not None:
        raise _refused("texts are cut or filled to a length")
    if odd := [key for key, value in _PLAIN.items() if model.get(key) not in (value, "")]:
        raise _refused(f"{odd[0]} of the model is set")
    if bool(model.get("ignore_merges")) != cut.whole_words:
        raise _refused(f"ignore_merges is not {str(cut.whole_words).lower()}, as {cut.name} has it")
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or any(type(number) is not int for number in vocabulary.values()):
        raise _refused("there is no vocabulary")
    if missing := characters() - vocabulary.keys():
        raise _refused(f"{len(missing)} of 256 bytes have no token")
    pairs = [one.split(" ") if isinstance(one, str) else one for one in merges] if isinstance(merges, list) else []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or any(part not in vocabulary for part in pair):
            raise _refused(f"the merge {str(pair)[:40]!r} does not join two tokens")
    if not pairs or any(" " in part for pair in pairs for part in pair):
        raise _refused("there are no merges, or tokens with a space")
    return vocabulary, [" ".join(pair) for pair in pairs]


def _added(tokenizer: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Added tokens: text -> (number, type)."""
    found: dict[str, tuple[int, int]] = {}
    listed = tokenizer.get("added_tokens")
    for token in listed if isinstance(listed, list) else []:
        content, number = (token.get("content"), token.get("id")) if isinstance(token, dict) else (None, None)
        if not isinstance(content, str) or not content or type(number) is not int:
            raise _refused("an added token has no text or no number")
        if any(token.get(key) for key in ("single_word", "lstrip", "rstrip")):
            raise _refused(f"the added token {content[:40]!r} takes white space with it, or only whole words")
        found[content] = (number, CONTROL if token.get("special") is True else USER_DEFINED)
    return found


def _tokens(tokenizer: Mapping[str, Any], vocabulary: dict[str, int], rows: int) -> tuple[list[str], list[int]]:
    """Texts and types of all numbers below `rows`; numbers without a token get a name that no text can be."""
    added, table = _added(tokenizer), characters()
    texts, types = [f"[PAD{number}]" for number in range(rows)], [UNUSED] * rows
    taken: set[int] = set()
    for content, number in {**vocabulary, **{text: number for text, (number, _) in added.items()}}.items():
        if not 0 <= number < rows or number in taken:
            raise _refused(f"{content[:40]!r} has the number {number}, which is taken or beyond vocab_size {rows}")
        if content not in added and not (content and table.issuperset(content)):
            raise _refused(f"the token {content[:40]!r} is not made of bytes")
        taken.add(number)
        texts[number], types[number] = content, added[content][1] if content in added else NORMAL
    if len(set(texts)) != rows or any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        raise _refused("two tokens are the same text, or one is no text")
    return texts, types


def entries(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], template: str | None, rows: int) -> list[Entry]:
    """The vocabulary's lines of the metadata.

    Args:
        tokenizer: tokenizer.json.
        settings: tokenizer_config.json.
        template: the default chat template.
        rows: the model's vocab_size.

    Raises:
        UserError: if llama.cpp would make other tokens of the same text.
    """
    cut = _cut(tokenizer)
    vocabulary, merges = _model(tokenizer, cut)
    texts, types = _tokens(tokenizer, vocabulary, rows)
    named = {name: settings.get(name) for name in _SPECIAL}
    special = {name: one.get("content") if isinstance(one, dict) else one for name, one in named.items()}
    begins = _begins(tokenizer, special["bos_token"])
    asked = (settings.get("add_prefix_space"), settings.get("add_bos_token"), settings.get("add_eos_token"))
    if asked[0] or asked[1] not in (None, begins) or asked[2]:
        raise _refused("tokenizer_config.json adds to texts what tokenizer.json does not")
    number = {text: place for place, text in enumerate(texts)}
    known = {name: text is None or (isinstance(text, str) and text in number) for name, text in special.items()}
    if unknown := [name for name, found in known.items() if not found]:
        raise _refused(f"{unknown[0]} of tokenizer_config.json is no token")
    return [
        Entry("tokenizer.ggml.model", STRING, "gpt2"),
        Entry("tokenizer.ggml.pre", STRING, cut.name),
        Entry("tokenizer.ggml.tokens", ARRAY, texts, STRING),
        Entry("tokenizer.ggml.token_type", ARRAY, types, INT32),
        Entry("tokenizer.ggml.merges", ARRAY, merges, STRING),
        *(Entry(_SPECIAL[name], UINT32, number[text]) for name, text in special.items() if text is not None),
        Entry("tokenizer.ggml.add_bos_token", BOOL, begins),
        *([Entry("tokenizer.chat_template", STRING, template)] if template else []),
    ]
