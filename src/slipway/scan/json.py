"""JSON files: strict structure, keys that make a loader run code, sizes, and tokenizers that rewrite text.

The keys are refused at any depth, because loaders pass nested configurations on to the same machinery.
"""

import re
from collections.abc import Iterator
from typing import Any

from slipway.records import Finding
from slipway.scan import structure, template, text
from slipway.scan.subject import Subject

CODE_KEYS = frozenset({
    "auto_map", "auto_mapping", "custom_pipelines", "custom_generate", "trust_remote_code", "model_file", "_target_",
    "_partial_", "loader_module", "code_revision", "py/object", "py/reduce", "__reduce__", "__class__", "__module__",
    "remote_code", "custom_object_scope", "registered_name", "pip_requirements", "setup_command",
})  # fmt: skip
CLASS_KEYS = frozenset(
    {"model_type", "tokenizer_class", "processor_class", "feature_extractor_type", "image_processor_type"}
)
KERNEL_KEYS = re.compile(r"_?(attn|experts|kernel)\w*_implementation\w*|use_kernels|kernel_config|hub_kernels")
LIMITS = {
    "vocab_size": 1 << 24, "hidden_size": 1 << 20, "intermediate_size": 1 << 24, "num_hidden_layers": 1 << 14,
    "num_attention_heads": 1 << 16, "max_position_embeddings": 1 << 32, "head_dim": 1 << 16, "max_new_tokens": 1 << 32,
    "max_length": 1 << 32, "num_experts": 1 << 16,
}  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|www\.", re.IGNORECASE)
_REMEDY = "remove the key; a release must load with the library's own code"


def _judge_key(subject: Subject, path: str, key: str, value: Any) -> Iterator[Finding]:
    if key in CODE_KEYS and value not in (None, False, {}, []):
        yield subject.finding("json.code", f"{path}: this key makes a loader import or run foreign code", _REMEDY)
    elif key in CLASS_KEYS and value is not None and not (isinstance(value, str) and _PLAIN.fullmatch(value)):
        yield subject.finding(
            "json.code", f"{path}: {str(value)[:80]!r} is not the name of a class of the library", _REMEDY
        )
    elif key == "architectures" and any(not isinstance(v, str) or not _PLAIN.fullmatch(v) for v in _list(value)):
        yield subject.finding("json.code", f"{path}: holds what is not the name of a class of the library", _REMEDY)
    elif KERNEL_KEYS.fullmatch(key) and any(isinstance(v, str) and re.search(r"[/:@]", v) for v in _leaves(value)):
        yield subject.finding(
            "json.code", f"{path}: {str(value)[:80]!r} names a repository whose kernels are downloaded", _REMEDY
        )
    elif key == "use_safetensors" and value is False:
        yield subject.finding("json.code", f"{path}: asks for weights in pickle", _REMEDY)
    elif key in LIMITS and isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0 or value > LIMITS[key]:
            remedy = f"give a number between 0 and {LIMITS[key]}"
            yield subject.finding("json.limit", f"{path}: {value} would exhaust the memory of whoever loads it", remedy)
    elif key == "chat_template" and not _harmless(value) and not subject.name.startswith("records/"):
        # No loader reads records/; there the word names a safety probe.
        reason = f"{path}: a chat template is a program, and this one is not known"
        yield subject.finding("json.template", reason, template.REMEDY)


def _harmless(value: Any) -> bool:
    """No chat template, or the one that Slipway ships."""
    return value is None or (isinstance(value, str) and template.known(value.encode("utf-8", "surrogatepass")))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for child in value.values():
            yield from _leaves(child)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child)
    else:
        yield value


def _judge_tokenizer(subject: Subject, value: Any) -> Iterator[Finding]:
    """Rules that change the user's text: a long replacement or an address can put words into a prompt or an answer."""
    remedy = "train the tokenizer again without this rule"
    for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor"):
        for path, key, child in structure.nodes({part: value.get(part)}):
            if key == "content" and isinstance(child, str) and (len(child) > 3 or _URL.search(child)):
                yield subject.finding("tokenizer.rewrite", f"{path}: replaces text by {child[:40]!r}", remedy)
    for index, token in enumerate(_list(value.get("added_tokens"))):
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or _URL.search(content) or len(content) > 128:
            yield subject.finding(
                "tokenizer.token", f"added_tokens[{index}]: {str(content)[:40]!r} is not a plain token", remedy
            )


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `json.*` and `tokenizer.*`, and secrets in the text."""
    value, findings = structure.parse(subject)
    yield from findings
    if findings:
        return
    if not isinstance(value, dict) and subject.name != "special_tokens_map.json":
        yield subject.finding(
            "json.shape", f"holds {type(value).__name__} where an object is expected", "write it again"
        )
        return
    for path, key, child in structure.nodes(value):
        yield from _judge_key(subject, path, key, child)
    if subject.name == "tokenizer.json":
        yield from _judge_tokenizer(subject, value)
    yield from text.secrets(subject, subject.content.decode("utf-8"))
