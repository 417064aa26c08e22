"""JSON files: strict structure, keys that make a loader run code, values that lead elsewhere, sizes.

The keys are refused at any depth, because loaders pass nested configurations on to the same machinery. There is no
list of the keys that a configuration may have: architectures differ, and a key that no loader knows does nothing.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from slipway.records import Finding
from slipway.scan import adapter, structure, subversion, template, text, tokenizer
from slipway.scan.subject import TEXT_LIMIT, Subject

CODE_KEYS = frozenset({
    "auto_map", "auto_mapping", "custom_pipelines", "custom_pipeline", "custom_generate", "trust_remote_code",
    "model_file", "_target_", "_partial_", "loader_module", "code_revision", "remote_code", "custom_object_scope",
    "custom_objects", "registered_name", "pip_requirements", "setup_command", "python_function", "python_model",
    "custom_module", "custom_code", "has_remote_code",
})  # fmt: skip
OTHER_LOADERS = frozenset({
    "scripts", "postinstall", "preinstall", "entry_point", "entry_points", "code_path", "code_paths", "py_modules",
    "class_name", "lambda", "modeling_file", "handler", "module_path", "import_path", "exec", "eval", "command", "cmd",
    "shell",
})  # fmt: skip
"""What Keras, MLflow, servers and installers run; in records that no loader reads, they are words like others."""
CODE_PREFIXES = ("py/", "__", "!!", "!python", "tag:yaml.org")
"""Keys by which jsonpickle, pickling by hand and YAML in JSON name what they build."""
CLASS_KEYS = re.compile(
    r"model_type|.*_model_type|(slow_|fast_)?tokenizer_class|processor_class|(feature_extractor|image_processor"
    r"|video_processor|processor|tokenizer)_type|_class_name|peft_type|quant_method|quantizer_class|config_class"
)
IMPORT_KEYS = re.compile(
    r"(?i)(.*_)?(class|cls|callable|func|function|factory|loader|module|plugin|hook)(_path|_name)?|_?type"
)
_WRITTEN = (("__type", "AddedToken"), ("__float__", "Infinity"), ("__float__", "-Infinity"))
"""What transformers itself writes so."""
KERNEL_KEYS = re.compile(
    r"_?(attn|attention|experts|kernel|moe|mlp)\w*_implementation\w*|use_kernels|kernel_config|hub_kernels|kernels|cache_implementation"
)
LIMITS = {
    "vocab_size": 1 << 24, "hidden_size": 1 << 20, "intermediate_size": 1 << 24, "num_hidden_layers": 1 << 14,
    "num_attention_heads": 1 << 16, "max_position_embeddings": 1 << 32, "head_dim": 1 << 16, "max_new_tokens": 1 << 32,
    "max_length": 1 << 67, "min_length": 1 << 32,
    "num_experts": 1 << 16, "num_local_experts": 1 << 16, "n_embd": 1 << 20,
    "n_layer": 1 << 14, "n_head": 1 << 16, "n_positions": 1 << 32, "n_ctx": 1 << 32, "n_inner": 1 << 24,
    "d_model": 1 << 20, "d_ff": 1 << 24, "d_kv": 1 << 16, "num_layers": 1 << 14, "num_heads": 1 << 16,
    "encoder_layers": 1 << 14, "decoder_layers": 1 << 14, "num_key_value_heads": 1 << 16, "type_vocab_size": 1 << 20,
    "image_size": 1 << 16, "patch_size": 1 << 16, "num_channels": 1 << 16, "num_labels": 1 << 20, "num_beams": 1 << 12,
    "num_return_sequences": 1 << 16, "state_size": 1 << 20, "expand": 1 << 10, "projection_dim": 1 << 20, "r": 1 << 16,
    "max_batch_size": 1 << 24, "height": 1 << 16, "width": 1 << 16, "shortest_edge": 1 << 32, "longest_edge": 1 << 32,
    "sampling_rate": 1 << 24, "feature_size": 1 << 20,
    "num_mel_bins": 1 << 16, "decoder_ffn_dim": 1 << 24, "encoder_ffn_dim": 1 << 24,
}  # fmt: skip
_UNSET = frozenset({"max_length", "n_inner", "r"})
"""Sizes that some write as -1 where they mean none."""
FREE = re.compile(
    r"records/.*|(bom\.cdx|provenance|manifest|statement|recipe|openness|advisor\w*|yanked)\.json|inputs\.lock|model\.sig"
)
"""Records that no loader reads: a release's own, where addresses of sources and licences belong."""
_CLASS = re.compile(r"(?:[A-Za-z0-9_-]|(?<=[0-9])\.(?=[0-9])){0,128}")
"""A name as the library's own are, `kosmos-2.5` among them; empty is none."""
_ADDRESS = re.compile(
    r"(?i)\b(https?|ftps?|file|s3|gs|hf|ssh|git|git\+\w+|ws|wss|ldaps?|rmi|jdbc:\w+|javascript|data)://|^\s*(javascript|file|data:\w+/\w+)[:;,]"
)
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_HARMLESS = re.compile(
    r"(torch|sentence_transformers\.models|sentence_transformers\.(sparse_encoder|base)[\w.]*|torch\.nn\.[\w.]+)\.\w+"
)
_PROGRAM = re.compile(
    r"^(?:os|sys|subprocess|builtins|posix|shutil|importlib|runpy|c?pickle|cloudpickle|dill|pty|ctypes|torch\.hub)"
    r"[.:][A-Za-z_][\w.]*$|(?i:<\s*(?:script|iframe)\b|\bon(?:error|load|click|toggle)\s*=)|^(?:hf[-_]hub|local-dir):|"
    r"__import__|\b(os|subprocess|builtins|sys|shutil|posix|nt)\.\w+\s*\(|\beval\s*\(|\bexec\s*\(|!!python|\$\{[^}]*:|\{\{.*__"
)
_ELSEWHERE = re.compile(r"[A-Za-z]:\\|\\\\|~/")
_NAMES_FILES = re.compile(r"(?i).*(path|file|dir|directory|folder|root)s?")
_LABELS = re.compile(r"(^|\.)(id2label|label2id)\.")  # names of classes: what a model says, not what it is told
_ESCAPED = re.compile(r"\\u00([2-7][0-9A-Fa-f])")
_TOKEN_KEYS = re.compile(r"(\w+_)?token|content|(additional|extra)_special_tokens")
PROSE = 16
"""Characters from which on a text may tell a model something."""
_REMEDY = "remove the key; a release must load with the library's own code"
_VALUE = "replace it by a plain value"


def _judge_key(subject: Subject, path: str, key: str, value: Any) -> Iterator[Finding]:
    code = None
    named = key.casefold() in CODE_KEYS or (
        key.startswith(CODE_PREFIXES) and key != "__version__" and (key, value) not in _WRITTEN
    )
    if named and value not in (None, False, {}, []):
        code = "this key makes a loader import or run foreign code"
    elif CLASS_KEYS.fullmatch(key) and value is not None and not (isinstance(value, str) and _CLASS.fullmatch(value)):
        code = f"{str(value)[:80]!a} is not the name of a class of the library"
    elif key == "architectures" and any(not isinstance(v, str) or not _CLASS.fullmatch(v) for v in _list(value)):
        code = "holds what is not the name of a class of the library"
    elif KERNEL_KEYS.fullmatch(key) and any(isinstance(v, str) and re.search(r"[/:@\\.]", v) for v in _leaves(value)):
        code = f"{str(value)[:80]!a} names a repository whose kernels are downloaded"
    elif key == "use_safetensors" and value is not None and not value:
        code = "asks for weights in pickle"
    elif IMPORT_KEYS.fullmatch(key) and isinstance(value, str) and _IMPORT.fullmatch(value):
        code = None if _HARMLESS.fullmatch(value) else f"{value[:80]!r} names something to import"
    if code:
        yield subject.finding("json.code", f"{path}: {code}", _REMEDY)
    elif _ADDRESS.search(key) or ".." in key.replace("\\", "/").split("/"):
        yield subject.finding("json.path", f"the key {key[:60]!a} leads out of the release", _REMEDY)
    elif type(value) is float and math.isinf(value):
        yield subject.finding("json.limit", f"{path}: is larger than any number", "give a number")
    elif key in LIMITS and type(value) in (int, float) and not -(key in _UNSET) <= value <= LIMITS[key]:
        remedy = f"give a number between 0 and {LIMITS[key]}"
        yield subject.finding("json.limit", f"{path}: {value} would exhaust the memory of whoever loads it", remedy)


def _judge_tools(subject: Subject, path: str, key: str, value: Any) -> Iterator[Finding]:
    # `{"eval": {"loss": 1.2}}` are results: nothing is run that is not named by a text.
    if key in OTHER_LOADERS and any(leaf and isinstance(leaf, str) for leaf in _leaves(value)):
        yield subject.finding("json.code", f"{path}: this key makes a tool import or run foreign code", _REMEDY)


def _judge_value(subject: Subject, path: str, key: str, value: str) -> Iterator[Finding]:
    """What a value may lead to: an address, a place outside of the release, a program."""
    if found := _ADDRESS.search(value):
        yield subject.finding("json.address", f"{path}: holds the address {value[found.start() :][:60]!a}", _VALUE)
    elif (".." in value and ".." in value.replace("\\", "/").split("/")) or _ELSEWHERE.match(value):
        yield subject.finding("json.path", f"{path}: {value[:60]!a} leads out of the release", _VALUE)
    elif value.startswith("/") and len(value) > 1 and _NAMES_FILES.fullmatch(key) and "name_or_path" not in key:
        # Trainers leave the place a model was loaded from in name_or_path; no loader opens it.
        yield subject.finding("json.path", f"{path}: {value[:60]!a} is a place on somebody's machine", _VALUE)
    elif found := _PROGRAM.search(value):
        yield subject.finding("json.program", f"{path}: holds a program: {value[found.start() :][:60]!a}", _VALUE)
    elif len(value) >= PROSE and " " in value and not _LABELS.search(path) and (said := subversion.subverting(value)):
        yield subject.finding("json.subversion", f"{path}: tells a model {said[:60]!a}", _VALUE)
    elif _TOKEN_KEYS.fullmatch(key) and tokenizer.is_prose(value):
        yield subject.finding("tokenizer.token", f"{path}: {value[:40]!a} is not a plain token", _VALUE)
    if not value.isprintable() and (odd := _unreadable(value, "token" not in subject.name and "token" not in path)):
        yield subject.finding("text.control", f"{path}: holds {odd}", _VALUE)


def _unreadable(value: str, strict: bool) -> str | None:
    """What in a text cannot be shown, or misleads; in tokens only halves of characters, which are none."""
    if any("\ud800" <= one <= "\udfff" for one in value):
        return "half of a character"
    found = text.odd(value) if strict else None
    return found[0] if found else None


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


def _strings(value: Any) -> Iterator[str]:
    """Texts in a value and in lists in it; objects in it have members of their own."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, str):
            yield here
        elif isinstance(here, list):
            waiting += here


def _template(subject: Subject, path: str, value: Any) -> Iterator[Finding]:
    sources, wrong = template.templates(value, path)
    for reason in wrong:
        yield subject.finding("json.template", reason, template.REMEDY)
    for where, source in sources.items():
        if found := text.odd(source):
            yield subject.finding("text.control", f"{where}holds {found[0]}", "remove it")
    yield from template.judge(subject, sources)


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `json.*`, `tokenizer.*`, `adapter.*` and `template.*`; secrets and personal data in the text."""
    # Before the document is taken apart, because a large one and its text take too much memory together.
    yield from _secrets(subject)
    value, findings = structure.parse(subject)
    yield from findings
    if findings:
        return
    if not isinstance(value, dict) and subject.name not in {"special_tokens_map.json", "modules.json"}:
        yield subject.finding(
            "json.shape", f"holds {type(value).__name__} where an object is expected", "write it again"
        )
        return
    if isinstance(value, dict) and tokenizer.is_vocabulary(subject.name, value):
        yield from tokenizer.check_vocabulary(subject, value)
        return
    yield from _nodes(subject, value)
    if isinstance(value, dict) and tokenizer.is_named_vocabulary(subject.name) and any(map(_is_float, _leaves(value))):
        yield subject.finding("tokenizer.vocabulary", "holds a number with a fraction", "write the vocabulary again")
    if subject.name == "model_index.json" and isinstance(value, dict):
        yield from _judge_pipeline(subject, value)
    if isinstance(value, dict) and tokenizer.is_tokenizer(subject.name, value):
        yield from tokenizer.check(subject, value)
    if isinstance(value, dict) and (subject.name.startswith("adapter_config") or "peft_type" in value):
        yield from adapter.check(subject, value)


def _is_float(value: Any) -> bool:
    return type(value) is float


def _judge_pipeline(subject: Subject, value: dict[str, Any]) -> Iterator[Finding]:
    """A pipeline of diffusers names for each part a library, which is imported, and a class of it."""
    for key, part in value.items():
        names = isinstance(part, list) and len(part) == 2 and all(one is None or isinstance(one, str) for one in part)
        if names and part[0] not in {None, "diffusers", "transformers"}:
            yield subject.finding("json.code", f"{key}: {str(part[0])[:80]!a} would be imported", _REMEDY)


def _secrets(subject: Subject) -> Iterator[Finding]:
    """Bytes that are no UTF-8 are what `structure.parse` refuses; here they hide nothing from the search."""
    if subject.size <= TEXT_LIMIT:
        raw = subject.content.decode("utf-8", "surrogateescape")
        # An escape for a letter is as good as the letter to whoever reads the value.
        plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), raw).replace("\\/", "/") if "\\" in raw else raw
        yield from text.secrets(subject, plain)


def _nodes(subject: Subject, value: Any) -> Iterator[Finding]:
    """What is wrong with single members, at any depth; a tokenizer's vocabulary is words, not settings."""
    free = FREE.fullmatch(subject.name) is not None
    model = value.get("model") if isinstance(value, dict) else None
    words = model if isinstance(model, dict) and tokenizer.is_tokenizer(subject.name, value) else None
    personal: list[str] = []
    for path, key, child in structure.nodes(value, skipped=words):
        yield from _judge_key(subject, path, key, child)
        if free:
            continue  # no loader reads it; `chat_template` there names a safety probe
        yield from _judge_tools(subject, path, key, child)
        if key == "chat_template":
            yield from _template(subject, path, child)
        elif "chat_template[" not in path and not (words is not None and path.startswith(tokenizer.RULES)):
            for leaf in _strings(child):
                personal.append(leaf)
                yield from _judge_value(subject, path, key, leaf)
    if personal and words is None:
        yield from text.personal(subject, "\n".join(personal))
