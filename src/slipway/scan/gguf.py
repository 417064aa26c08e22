"""GGUF: published only if it is, byte for byte, what the exporter makes of the model beside it.

That is shown and not believed: header and numbers are derived anew from config.json, the tokenizer, the chat template
and the safetensors of the same bundle. A file whose template, tokens, numbers or settings differ from the model that
was evaluated is another model under its name. Memory: the header, the tokenizer, and a stretch of numbers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway import chat
from slipway.errors import UserError
from slipway.gguf import layout
from slipway.gguf.plan import Model, describe
from slipway.records import Finding
from slipway.scan import gguf_header, gguf_values, structure
from slipway.scan.gguf_header import Fault, Header
from slipway.scan.safetensors import judge_structure
from slipway.scan.subject import Subject
from slipway.scan.values import Tensor

WHOLE = "model.safetensors"
INDEX = f"{WHOLE}.index.json"
_FILE_TYPES = {kind.file_type: name for name, kind in layout.TYPES.items()}
_REMEDY = "let the release make it (`bundle.gguf` in the recipe, docs/gguf.md), or leave it out"


def _document(subject: Subject, name: str) -> dict[str, Any]:
    """A JSON file beside the subject."""
    path = subject.path.with_name(name)
    if name not in subject.siblings or path.is_symlink() or not path.is_file():
        raise Fault("alone", f"lies without {name}: nothing shows which model it is")
    value, findings = structure.parse(Subject(path, name, path.stat().st_size, subject.siblings))
    if findings or not isinstance(value, dict):
        raise Fault("alone", f"lies beside a {name} that cannot be read")
    return value


def _plan(subject: Subject, kind: str) -> layout.Plan:
    names = ("config.json", "tokenizer.json", "tokenizer_config.json")
    config, tokenizer, settings = (_document(subject, name) for name in names)
    try:
        template = chat.template_of(subject.path.parent)
        return describe(Model(config, tokenizer, settings, template), kind)
    except (UserError, ValueError) as error:
        raise Fault("foreign", f"was not made here: {error}") from None


def _weights(subject: Subject) -> dict[str, tuple[Path, Tensor]]:
    """Tensor of the safetensors beside the subject -> its file, and where it is there."""
    shards = {WHOLE}
    if INDEX in subject.siblings:
        listed = _document(subject, INDEX).get("weight_map")
        shards = set(map(str, listed.values())) if isinstance(listed, dict) else set()
    found: dict[str, tuple[Path, Tensor]] = {}
    for name in sorted(shards):
        path = subject.path.with_name(Path(name).name)
        if name not in subject.siblings or "/" in name or path.is_symlink() or not path.is_file():
            raise Fault("alone", f"lies without {name[:80]}: its numbers cannot be compared")
        tensors: list[Tensor] = []
        if any(judge_structure(Subject(path, name, path.stat().st_size), tensors)):
            raise Fault("alone", f"lies beside weights that cannot be read, {name}")
        for tensor in tensors:
            if tensor.name in found:
                raise Fault("alone", f"lies beside weights that hold {tensor.name!r} twice")
            found[tensor.name] = (path, tensor)
    return found


def _kind(header: Header) -> str:
    """Type of the matrices, as the file states it."""
    place = next((value for value in header.values if value.key == "general.file_type"), None)
    for number, name in _FILE_TYPES.items():
        entry = layout.Entry("general.file_type", layout.UINT32, number)
        if place and header.content[place.first : place.last] == layout.encoded(entry):
            return name
    made = ", ".join(layout.TYPES)
    raise Fault("foreign", f"states no type that is made here ({made})", place.first if place else None)


def _differs(header: Header, plan: layout.Plan) -> Iterator[Fault]:
    """Where the header says other than the plan."""
    found = {value.key: value for value in header.values}
    wanted = {entry.key: entry for entry in plan.entries}
    for key in (key for key in found if key not in wanted):
        words = "it is a part of a split file" if key.startswith("split.") else "no file made here has it"
        yield Fault("key", f"holds {key[:80]!a}, and {words}", found[key].first)
    for key in (key for key in wanted if key not in found):
        yield Fault("template" if key == "tokenizer.chat_template" else "key", f"lacks {key!r}")
    for key in (key for key in wanted if key in found):
        actual, expected = header.content[found[key].first : found[key].last], layout.encoded(wanted[key])
        if actual == expected:
            continue
        pairs = zip(actual, expected, strict=False)
        at = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(actual), len(expected)))
        rule, origin = "architecture", "config.json"
        if key.startswith("tokenizer."):
            rule, origin = "tokenizer", "tokenizer.json and tokenizer_config.json"
        if key == "tokenizer.chat_template":
            rule, origin = "template", "the chat template of the bundle"
        yield Fault(rule, f"{key!r} is not what follows from {origin}", found[key].first + at)


def _judge_tensors(header: Header, plan: layout.Plan, sources: dict[str, tuple[Path, Tensor]]) -> Iterator[Fault]:
    described = {tensor.name: tensor for tensor in header.tensors}
    wanted = {tensor.name: tensor for tensor in plan.tensors}
    for name in (name for name in described if name not in wanted):
        yield Fault(
            "tensor", f"holds the tensor {name[:80]!a}, which config.json does not describe", described[name].at
        )
    for name in (name for name in wanted if name not in described):
        yield Fault("tensor", f"lacks the tensor {name!r}")
    for name in (name for name in wanted if name in described):
        one, other = wanted[name], described[name]
        if (one.shape, layout.TYPES[one.type].code) != (other.shape, other.code):
            reason = f"tensor {name!r} is {list(other.shape)} of type {other.code}, but must be {list(one.shape)} as "
            yield Fault("tensor", reason + one.type, other.at)
    if wrong := {tensor.source for tensor in plan.tensors} ^ sources.keys():
        yield Fault("weights", f"cannot hold the same as the weights: {min(wrong)[:80]!a} is only in one of the two")
    for tensor in plan.tensors:
        _, beside = sources.get(tensor.source, (None, None))
        if beside and (beside.shape != tensor.shape or beside.dtype not in gguf_values.WIDTHS):
            yield Fault("weights", f"{tensor.source!r} of the weights is {beside.dtype} {list(beside.shape)}")


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `gguf.*`, at most one of each rule.

    Of the bytes: magic, version, count, bounds, encoding, type, duplicate, alignment, shape, offset, filling, tail. Of
    the model: alone, foreign, key, template, tokenizer, architecture, tensor, weights, header, value, not_finite.
    """
    faults: dict[str, Fault] = {}
    try:
        header = gguf_header.parse(subject.read(gguf_header.LIMIT), subject.size)
        plan, sources = _plan(subject, _kind(header)), _weights(subject)
        for fault in (*_differs(header, plan), *_judge_tensors(header, plan, sources)):
            faults.setdefault(fault.what, fault)
        expected = layout.header(plan)
        if not faults and header.content[: header.end] != expected:
            # Nothing differs but the order: whatever it is, the exporter did not write it.
            faults["header"] = Fault("header", "its lines do not stand in the order of the exporter")
        if not faults:
            header.content = b""
            gguf_values.check(subject.path, plan, header.tensors, sources, subject.size)
    except Fault as found:
        faults.setdefault(found.what, found)
    for what, one in sorted(faults.items()):
        yield subject.finding(f"gguf.{what}", one.reason, _REMEDY, one.offset)
