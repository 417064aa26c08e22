"""What must be equal for two results of a harness task to be compared, as digests.

Functions of a task's YAML count by the source of their file, for they call others there, and not by where they lie in
memory; data counts by its content, not by the path of its files.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from slipway.evaluation.tasks.task import digest
from slipway.files import sha256_bytes, sha256_file
from slipway.records import Comparable
from slipway.settings.evaluate import HarnessTask

PROMPT = (
    "description", "doc_to_text", "doc_to_choice", "doc_to_target", "target_delimiter", "fewshot_delimiter",
    "gen_prefix", "use_prompt",
)  # fmt: skip
FEW_SHOT = ("num_fewshot", "fewshot_split", "fewshot_config")
DECODING = ("generation_kwargs", "repeats")
_PLACES = ("data_files", "data_dir", "cache_dir")


def plain(value: Any) -> Any:
    """`value` as JSON can hold it, and the same in every process."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    if callable(value):
        return _source(value)
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _source(function: Any) -> dict[str, Any]:
    if hasattr(function, "func") and hasattr(function, "keywords"):  # a partial
        return {"partial": _source(function.func), "given": plain([function.args, function.keywords])}
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        file = inspect.getsourcefile(function)
    except TypeError:  # of a built-in, or of a callable object
        file = None
    return {"name": name, "source": sha256_file(file) if file and Path(file).is_file() else None}


def _kind(task: Any) -> Any:
    kind = type(task)
    return kind.__name__ if kind.__module__.startswith("lm_eval.") else _source(kind)


def _config(task: Any) -> dict[str, Any]:
    config = {name: getattr(task.config, name) for name in vars(task.config)}
    given = dict(config.get("dataset_kwargs") or {})
    config["dataset_kwargs"] = {name: value for name, value in given.items() if name not in _PLACES}
    config["metadata"] = {"version": (config.get("metadata") or {}).get("version")}
    return config


def identity(
    version: str, tasks: Mapping[str, Any], asked: HarnessTask, *, seeds: Sequence[int], metric: str, tokenizer: Any,
    data: Sequence[str], prompts: Sequence[str],
) -> Comparable:  # fmt: skip
    """Digests of a task, or of those of a group, as it was asked.

    Args:
        version: of the harness.
        tasks: loaded, by name.
        asked: the recipe's.
        seeds: with which it was asked; none if nothing depends on one.
        metric: the figure that stands for it.
        tokenizer: the model's.
        data: digests of the items, in order.
        prompts: digests of what stands before each item as text, in order; they tell which examples are shown.
    """
    configs = {name: _config(task) for name, task in tasks.items()}

    def part(names: Sequence[str]) -> str:
        return digest({task: plain({name: config.get(name) for name in names}) for task, config in configs.items()})

    others = {name for config in configs.values() for name in config} - {*PROMPT, *FEW_SHOT, *DECODING}
    shows = any(config.get("num_fewshot") for config in configs.values())
    generates = any(task.OUTPUT_TYPE == "generate_until" for task in tasks.values())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = backend.to_str() if backend is not None else digest(tokenizer.get_vocab())
    template = digest(tokenizer.chat_template) if asked.chat else "none"
    return Comparable(
        harness=f"lm_eval {version}",
        task=digest([part(sorted(others)), asked.limit, metric, [_kind(task) for task in tasks.values()]]),
        prompt=part(PROMPT),
        few_shot=digest([part(FEW_SHOT), list(seeds), list(prompts)]) if shows else "none",
        decoding=digest([part(DECODING), list(seeds)]) if generates else "likelihood",
        tokenizer=sha256_bytes(words.encode()),
        chat_template=template,
        data=digest(list(data)),
    )
