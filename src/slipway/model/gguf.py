"""A model directory to one GGUF file, as llama.cpp runs it: weights, configuration, tokenizer and chat template.

The bytes follow from the directory alone: no time, name or place is written. Numbers are converted by the `gguf`
library; what it is given to write is described in `slipway.gguf`.

    >>> export(Path("bundle"), Path("bundle") / layout.file_name("pydocs", "q8_0"), "q8_0")
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway import chat
from slipway.errors import UserError
from slipway.gguf import layout
from slipway.gguf.plan import Model, describe

if TYPE_CHECKING:
    import numpy as np

INDEX = "model.safetensors.index.json"
SMALLEST = 1e-30
"""Below it, the scale of a block of q8_0 is no longer a number that can be divided by."""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; a GGUF is made of a whole model directory") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: is no JSON object; write the model again")
    return found


def read(directory: Path) -> Model:
    """What a GGUF follows from, besides the weights; raises UserError for a missing file."""
    return Model(
        config=_json(directory / "config.json"),
        tokenizer=_json(directory / "tokenizer.json"),
        settings=_json(directory / "tokenizer_config.json"),
        template=chat.template_of(directory),
    )


def _sources(directory: Path, plan: layout.Plan) -> Mapping[str, Path]:
    """Tensor of the safetensors -> its file; exactly those that the plan asks for."""
    from safetensors import safe_open

    if (directory / INDEX).is_file():
        found = {name: directory / shard for name, shard in _json(directory / INDEX)["weight_map"].items()}
    else:
        whole = directory / "model.safetensors"
        if not whole.is_file():
            raise UserError(f"{whole}: missing; a GGUF is made of a whole model directory")
        with safe_open(whole, framework="pt") as file:
            found = dict.fromkeys(file.keys(), whole)
    if wrong := sorted({tensor.source for tensor in plan.tensors} ^ found.keys()):
        words = "is in the weights, but nothing" if wrong[0] in found else "is missing, though it"
        raise UserError(
            f"{directory}: the tensor {wrong[0]} {words} that config.json describes; a GGUF would not compute what the "
            "model does: leave `bundle.gguf` empty"
        )
    return found


def _converted(tensor: layout.Tensor, numbers: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """float32 numbers as the file stores them.

    Raises:
        UserError: if the type cannot hold them.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    largest = np.abs(numbers.reshape(-1, layout.TYPES[tensor.type].block)).max(axis=1)
    limit = {"f16": 65504.0, "q8_0": 65504.0 * 127}.get(tensor.type, float(np.finfo(np.float32).max))
    if not (largest <= limit).all():
        raise UserError(
            f"{tensor.source}: holds a number that {tensor.type} cannot ({largest.max()}); choose another type in "
            "`bundle.gguf`, or a checkpoint from before the training went wrong"
        )
    if tensor.type == "q8_0" and ((largest > 0) & (largest < SMALLEST)).any():
        raise UserError(
            f"{tensor.source}: holds a block of numbers that are all smaller than {SMALLEST}, which q8_0 cannot "
            "scale; choose another type in `bundle.gguf`"
        )
    return quants.quantize(numbers, GGMLQuantizationType(layout.TYPES[tensor.type].code))


def _arrays(plan: layout.Plan, sources: Mapping[str, Path]) -> "Iterator[np.ndarray[Any, Any]]":
    """The tensors' bytes in order, one tensor at a time."""
    import torch
    from safetensors import safe_open

    with ExitStack() as stack:
        files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in set(sources.values())}
        for tensor in plan.tensors:
            found = files[sources[tensor.source]].get_tensor(tensor.source)
            if tuple(found.shape) != tensor.shape or found.dtype not in (torch.float32, torch.float16, torch.bfloat16):
                raise UserError(
                    f"{tensor.source}: is {found.dtype} {list(found.shape)}, but must be float32, float16 or bfloat16 "
                    f"{list(tensor.shape)}; save model and configuration together again"
                )
            numbers = found.to(torch.float32).numpy()
            yield _converted(tensor, layout.regrouped(numbers, tensor.heads) if tensor.heads else numbers)


def export(directory: Path, target: Path, kind: str) -> None:
    """Write `target` from the model in `directory`; on failure there is no `target`.

    Args:
        directory: as Hugging Face lays it out.
        target: the file.
        kind: type of the matrices, one of `layout.TYPES`; vectors are float32.

    Raises:
        UserError: if llama.cpp would run the model otherwise than transformers, the type cannot hold its numbers, or
            the library is missing.
    """
    import numpy as np

    try:
        from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
    except ModuleNotFoundError:
        raise UserError("`bundle.gguf` needs the package gguf; install it, or leave `bundle.gguf` empty") from None
    plan = describe(read(directory), kind)
    sources = _sources(directory, plan)
    writer = GGUFWriter(target, plan.entries[0].value)
    try:
        for entry in plan.entries[1:]:
            item = None if entry.item is None else GGUFValueType(entry.item)
            writer.add_key_value(entry.key, entry.value, GGUFValueType(entry.kind), sub_type=item)
        for tensor in plan.tensors:
            code = GGMLQuantizationType(layout.TYPES[tensor.type].code)
            writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), layout.size(tensor), code)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for array in _arrays(plan, sources):
            writer.write_tensor_data(array)
        writer.close()
    except BaseException:
        writer.close()
        target.unlink(missing_ok=True)
        raise
