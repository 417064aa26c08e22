"""Tokenizers: parts that the library knows, no rule that rewrites what people say, no token that leads elsewhere."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.records import Finding
from slipway.scan import structure
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
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|www\.", re.IGNORECASE)
_REMEDY = "train the tokenizer again without this rule"


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
        if not isinstance(content, str) or _URL.search(content) or len(content) > TOKEN or _bad(number):
            reason = f"added_tokens[{index}]: {str(content)[:40]!r} is not a plain token"
            yield subject.finding("tokenizer.token", reason, _REMEDY)
    model = value.get("model")
    yield from _model(subject, model if isinstance(model, dict) else {})


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
        if key in {"content", "prepend", "replacement"} and isinstance(child, str):
            if len(child) > 3 or _URL.search(child):
                yield subject.finding("tokenizer.rewrite", f"{path}: replaces text by {child[:40]!r}", _REMEDY)
        elif key in {"String", "Regex"} and isinstance(child, str) and len(child) > PATTERN:
            yield subject.finding("tokenizer.pattern", f"{path}: has {len(child)} characters", _REMEDY)
        for rule in child if isinstance(child, list) else [child]:
            if isinstance(rule, dict) and rule.get("type") == "Replace":
                yield from _replaces(subject, path, rule)


def _replaces(subject: Subject, path: str, rule: Mapping[str, Any]) -> Iterator[Finding]:
    """A word may not become another, nor vanish: `no` for `yes` has three letters."""
    pattern = rule.get("pattern")
    sought = (pattern.get("String") or pattern.get("Regex") or "") if isinstance(pattern, dict) else str(pattern or "")
    words = re.sub(r"\\[A-Za-z](\{[^}]*\})?|\[[^\]]*\]|\(\?[a-z:=!<]*", "", str(sought))
    if re.search(r"[^\W\d_]{2,}", words):
        reason = f"{path}: changes {str(sought)[:40]!r} to {str(rule.get('content'))[:40]!r}"
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
