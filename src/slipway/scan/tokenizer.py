"""Tokenizers: parts that the library knows, no rule that rewrites what people say, no token that leads elsewhere."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.records import Finding
from slipway.scan import adapter, structure, subversion
from slipway.scan.subject import Subject

RULES = ("normalizer", "pre_tokenizer", "decoder", "post_processor", "added_tokens")
TYPES: Mapping[str, frozenset[str]] = {
    "model": frozenset({"BPE", "WordPiece", "Unigram", "WordLevel"}),
    "normalizer": frozenset({
        "Sequence", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "BertNormalizer", "Lowercase", "Strip", "StripAccents",
        "Replace",        "Prepend", "Precompiled", "ByteLevel",
    }),
    "pre_tokenizer": frozenset({
        "Sequence", "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation",
        "Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit", "FixedLength",
    }),
    "post_processor": frozenset({
        "Sequence", "BertProcessing", "RobertaProcessing", "ByteLevel", "TemplateProcessing",
    }),
    "decoder": frozenset({
        "Sequence", "BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse", "Metaspace", "Replace", "Strip",
        "WordPiece",
    }),
}  # fmt: skip
"""Parts of `tokenizers`; there are none for own code, and a word of another kind is no part."""
IDS = 1 << 25
TOKEN = 128
"""Longest added token, in characters."""
PATTERN = 4096
_VOCABULARY = re.compile(r"(.*[_.-])?vocab(_[a-z]+)?\.json|added_tokens\.json|emoji\.json|normalizer\.json")
AROUND = 16
"""Parts of a template of a post-processor; Whisper's has five."""
_ALPHABET = "a b c d e f g h i j k l m n o p q r s t u v w x y z no not yes A B C Q Z NOT Yes 0 1 2 3 9 10 2026"
_PIECE = re.compile(r"\W{0,8}|<[^<>]{1,40}>|\[[^\[\]]{1,40}\]|_")
"""Marks of pieces of words: `##`, `</w>`, `[PAD]`, `|`; a word may be none."""
_ALNUM = re.compile(r"[A-Za-z0-9]")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f]")
WORDS = 4
"""So many words make a token a sentence."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|www\.", re.IGNORECASE)
_REMEDY = "train the tokenizer again without this rule"


def is_prose(token: str) -> bool:
    """Whether a token is a sentence: it would be said to the model wherever the token is put."""
    if " " not in token.strip():
        return False
    many = len(_WORD.findall(token)) >= WORDS and not token.startswith("<|")
    return many or subversion.subverting(token) is not None


def is_named_vocabulary(name: str) -> bool:
    """Whether a file of this name maps words to numbers."""
    return name in {"vocab.json", "added_tokens.json"}


def is_tokenizer(name: str, value: Mapping[str, Any]) -> bool:
    """Whether a document is one of `tokenizers`: by what is in it, or because loaders will take it for one."""
    model = value.get("model")
    return name == "tokenizer.json" or (isinstance(model, dict) and "vocab" in model)


def is_vocabulary(name: str, value: Mapping[str, Any]) -> bool:
    """Whether a document maps words to their numbers, or to other spellings, and is nothing else."""
    return _VOCABULARY.fullmatch(name) is not None and all(
        type(number) in (int, str, list) for number in value.values()
    )


def check_vocabulary(subject: Subject, value: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings `tokenizer.vocabulary` and `tokenizer.token`."""
    for word, number in value.items():
        if type(number) is int and not 0 <= number < IDS:
            reason = f"{word[:40]!a} has the number {number}; a vocabulary has up to {IDS}"
            yield subject.finding("tokenizer.vocabulary", reason, "write the vocabulary again")
            return
        if type(number) is not int and not subject.name.endswith(("emoji.json", "normalizer.json")):
            reason = f"{word[:40]!a} has {str(number)[:40]!a} for a number"
            yield subject.finding("tokenizer.vocabulary", reason, "write the vocabulary again")
            return
    if subject.name == "added_tokens.json":
        for word in value:
            if _URL.search(word) or len(word) > TOKEN:
                yield subject.finding("tokenizer.token", f"{word[:40]!a} is not a plain token", _REMEDY)
    elif any(_URL.search(str(other)) for other in value.values() if type(other) is not int):
        yield subject.finding("tokenizer.rewrite", "replaces a word by an address", _REMEDY)


def check(subject: Subject, value: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings `tokenizer.*`: parts, rewriting rules, added tokens and vocabulary."""
    for part, types in TYPES.items():
        yield from _part(subject, part, value.get(part), types)
    tokens = value.get("added_tokens")
    for index, token in enumerate(tokens if isinstance(tokens, list) else [] if tokens is None else [tokens]):
        content = token.get("content") if isinstance(token, dict) else None
        number = token.get("id", 0) if isinstance(token, dict) else 0
        plain = isinstance(content, str) and len(content) <= TOKEN and not _URL.search(content)
        if not isinstance(content, str) or not plain or _bad(number) or is_prose(content):
            reason = f"added_tokens[{index}]: {str(content)[:40]!r} is not a plain token"
            yield subject.finding("tokenizer.token", reason, _REMEDY)
    model = value.get("model")
    yield from _model(subject, model if isinstance(model, dict) else {})
    yield from _template(subject, value.get("post_processor"))


def _bad(number: object) -> bool:
    return type(number) is not int or not 0 <= number < IDS


def _part(subject: Subject, part: str, value: Any, types: frozenset[str]) -> Iterator[Finding]:
    if value is None:
        return
    if not isinstance(value, dict):
        yield subject.finding("tokenizer.part", f"{part}: is no part of a tokenizer", _REMEDY)
        return
    skipped = value if part == "model" else None
    kinds = [value.get("type")] if "type" in value or part != "model" else []
    for several in ("normalizers", "pretokenizers", "processors", "decoders"):
        listed = value.get(several) if part != "model" else None
        kinds += (
            [one.get("type") if isinstance(one, dict) else one for one in listed] if isinstance(listed, list) else []
        )
    for kind in kinds:
        if not isinstance(kind, str) or kind not in types:
            yield subject.finding("tokenizer.part", f"{part}: the library knows no part {str(kind)[:40]!a}", _REMEDY)
    for path, key, child in structure.nodes({part: value}, skipped=skipped):
        if isinstance(child, str) and (fault := _setting(key, child)):
            yield subject.finding(fault[0], f"{path}: {fault[1]}", _REMEDY)
        for rule in child if isinstance(child, list) else [child]:
            if isinstance(rule, dict):
                yield from _rule(subject, path, rule)


def _setting(key: str, value: str) -> tuple[str, str] | None:
    """(rule, reason) of what is wrong with a text that sets up a part."""
    if key in {"content", "prepend", "replacement"} and (len(value) > 3 or _URL.search(value) or _ALNUM.search(value)):
        return "tokenizer.rewrite", f"replaces text by {value[:40]!r}"
    if key in {"String", "Regex"} and (len(value) > PATTERN or (key == "Regex" and adapter.repeats(value))):
        return "tokenizer.pattern", f"has {len(value)} characters, or repeats what repeats"
    if key in {"suffix", "prefix", "pad_token", "word_delimiter_token"} and not _PIECE.fullmatch(value):
        return "tokenizer.rewrite", f"takes {value[:40]!r} for a mark, out of what is said"
    if key == "delimiter" and value.isalnum():
        return "tokenizer.rewrite", f"takes {value[:40]!r} out of what is said"
    return None


def _rule(subject: Subject, path: str, rule: Mapping[str, Any]) -> Iterator[Finding]:
    """Letters and digits stay as they are: a word may not become another, nor vanish, nor appear."""
    sought = _sought(rule.get("pattern"))
    if rule.get("type") == "Replace":
        content = str(rule.get("content"))
        if _touches(rule.get("pattern")) or _ALNUM.search(content):
            reason = f"{path}: changes {sought[:40]!r} to {content[:40]!r}"
            yield subject.finding("tokenizer.rewrite", reason, _REMEDY)
    elif (rule.get("type"), rule.get("behavior")) == ("Split", "Removed") and not rule.get("invert"):
        reason = f"{path}: takes {sought[:40]!r} out of what is said"
        yield from [subject.finding("tokenizer.rewrite", reason, _REMEDY)] if _touches(rule.get("pattern")) else []


def is_charsmap(table: bytes) -> bool:
    """Whether bytes are sentencepiece's table: the size of a trie, the trie, then texts, each with a zero."""
    size = int.from_bytes(table[:4], "little")
    if not table:
        return True
    if len(table) < 5 or size % 4 or 4 + size > len(table):
        return False
    try:
        return not _CONTROL.search(table[4 + size :].decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _sought(pattern: object) -> str:
    found = (pattern.get("String") or pattern.get("Regex") or "") if isinstance(pattern, dict) else (pattern or "")
    return str(found)


def _touches(pattern: object) -> bool:
    """Whether a pattern finds letters or digits as they stand in every text."""
    sought = _sought(pattern)
    if isinstance(pattern, dict) and "Regex" in pattern:
        for name, letters in (("L", "A-Za-z"), ("N", "0-9"), ("Nd", "0-9"), ("Lu", "A-Z"), ("Ll", "a-z")):
            inside = re.sub(r"(\[[^\]]*)\\p\{" + name + r"\}", r"\g<1>" + letters, sought)
            sought = inside.replace("\\p{" + name + "}", f"[{letters}]")
        try:
            return any(_ALNUM.search(found[0]) for found in re.finditer(sought, _ALPHABET))
        except (re.error, OverflowError, RecursionError):
            sought = re.sub(r"\\[A-Za-z](\{[^}]*\})?|\[[^\]]*\]|\(\?[a-z:=!<]*", "", sought)
    return _ALNUM.search(sought) is not None


def _template(subject: Subject, value: Any) -> Iterator[Finding]:
    """What a tokenizer puts around a text: a few tokens, and the text between them."""
    for path, key, child in structure.nodes({"post_processor": value}):
        if key in {"single", "pair"} and isinstance(child, list) and child:
            texts = [one["Sequence"] for one in child if isinstance(one, dict) and "Sequence" in one]
            if len(texts) != (1 if key == "single" else 2) or len(child) > AROUND:
                reason = f"{path}: shows {len(texts)} texts among {len(child)} parts"
                yield subject.finding("tokenizer.rewrite", reason, _REMEDY)
        elif key == "ids" and isinstance(child, list) and len(child) > 2:
            reason = f"{path}: puts {len(child)} tokens in place of one"
            yield subject.finding("tokenizer.rewrite", reason, _REMEDY)


def _model(subject: Subject, model: Mapping[str, Any]) -> Iterator[Finding]:
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict) and any(_bad(number) for number in vocabulary.values()):
        word = next(word for word, number in vocabulary.items() if _bad(number))
        reason = f"model.vocab: {word[:40]!a} has {str(vocabulary[word])[:40]!a} for a number"
        yield subject.finding("tokenizer.vocabulary", reason, "write the tokenizer again")
    for key in ("unk_token", "continuing_subword_prefix", "end_of_word_suffix"):
        mark = model.get(key)
        if isinstance(mark, str) and (len(mark) > TOKEN or _URL.search(mark)):
            yield subject.finding("tokenizer.token", f"model.{key}: {mark[:40]!r} is not a plain token", _REMEDY)
