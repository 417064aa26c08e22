"""Adapters (PEFT): which model they are for is a name, and nothing in them loads code."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.records import Finding
from slipway.scan.subject import Subject

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?")
_METHOD = re.compile(r"[A-Z][A-Z0-9_]{1,40}")
_NESTED = re.compile(r"\((?:[^()\\]|\\.)*[+*}](?:[^()\\]|\\.)*\)\s*[+*{]")
"""A repetition of what repeats: such an expression may take longer than anybody waits."""
_MODULE = re.compile(r"[\w.*\[\](){}|^$+?\\:,=!<>-]{1,4096}")


def repeats(pattern: str) -> bool:
    """Whether a regular expression repeats a group that repeats: `(a+)+` takes exponential time."""
    single = re.sub(r"\\[pP]\{[^}]*\}|\\.|\[[^\]]*\]", "x", pattern)
    return _NESTED.search(re.sub(r"\{\d+\}", "", single)) is not None  # so many times and no other is no choice


def check(subject: Subject, value: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings `adapter.*` of a document that is an adapter's configuration."""
    base = value.get("base_model_name_or_path")
    if base is not None and not (isinstance(base, str) and (base == "" or _NAME.fullmatch(base)) and ".." not in base):
        reason = f"base_model_name_or_path: {str(base)[:80]!a} is no name of a model, but an address or a path"
        yield subject.finding("adapter.base", reason, "give the name of the model, `owner/name`, and pin its revision")
    method = value.get("peft_type")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        reason = f"peft_type: {str(method)[:80]!a} is no method of PEFT"
        yield subject.finding("adapter.method", reason, "save the adapter again with PEFT")
    core = value.get("megatron_core")
    if core not in (None, "megatron.core"):
        reason = f"megatron_core: {str(core)[:80]!a} is a module that PEFT would import"
        yield subject.finding("adapter.module", reason, "leave it at megatron.core")
    for key in ("target_modules", "modules_to_save", "exclude_modules", "layers_pattern"):
        listed = value.get(key)
        for name in listed if isinstance(listed, list) else [listed] if isinstance(listed, str) else []:
            if not isinstance(name, str) or not _MODULE.fullmatch(name) or repeats(name):
                yield subject.finding(
                    "adapter.module", f"{key}: {str(name)[:80]!a} is no module's name", "mend the list"
                )
                return
