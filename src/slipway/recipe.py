"""The recipe: `params.yaml` as typed, frozen settings, complete before any work starts.

There is one channel for numbers, this file; no command-line flag overrides it. An unknown key, a
misspelt key or a value of the wrong type is an error that names file, key, value and the nearest name.

    >>> recipe = load("params.yaml")
    >>> recipe.train.sequence_length
    128
"""

import difflib
import json
import types
import typing
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from slipway.errors import UserError
from slipway.records import REPORTS
from slipway.settings import (
    Acquire,
    Bundle,
    Evaluate,
    Name,
    Prepare,
    Release,
    Safety,
    Scan,
    Settings,
    Tokenize,
    Train,
    Validate,
)
from slipway.settings.evaluate import OWN_TASKS


class Recipe(Settings):
    """The whole of `params.yaml`: the name, the seed, a section per stage and one for the release."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    acquire: Acquire
    validate_: Validate = Field(alias="validate")
    prepare: Prepare
    tokenize: Tokenize
    train: Train
    evaluate: Evaluate
    safety: Safety
    bundle: Bundle
    scan: Scan
    release: Release

    def section(self, stage: str) -> Settings:
        """The settings of `stage`, by the stage's own name."""
        return getattr(self, "validate_" if stage == "validate" else stage)


def _bounds(recipe: Recipe) -> list[str]:
    """What no single field can say; each line names the fields, their values and what must hold."""
    context, validate, evaluate, safety = recipe.train.sequence_length, recipe.validate_, recipe.evaluate, recipe.safety
    rules = {
        "evaluate.stride must be at most train.sequence_length": (evaluate.stride, context),
        "evaluate.continuation.answer_tokens must be below train.sequence_length": (
            evaluate.continuation.answer_tokens + 1,
            context,
        ),
        "evaluate.signature.answer_tokens must be below train.sequence_length": (
            evaluate.signature.answer_tokens + 1,
            context,
        ),
        "evaluate.question.answer_tokens must be below train.sequence_length": (
            (evaluate.question.answer_tokens if evaluate.question else 0) + 1,
            context,
        ),
        "safety.extraction_tokens must be at most half of train.sequence_length": (
            2 * safety.extraction_tokens,
            context,
        ),
        "validate.min_characters must be at most validate.max_characters": (
            validate.min_characters,
            validate.max_characters,
        ),
        "prepare.min_characters must be at most prepare.max_characters": (
            recipe.prepare.min_characters,
            recipe.prepare.max_characters,
        ),
    }
    faults = [f"{rule} ({low} > {high})" for rule, (low, high) in rules.items() if low > high]
    packing, rows = recipe.tokenize.packing, recipe.tokenize.row_tokens
    if packing == "whole" and rows != context:
        faults.append(f"tokenize.row_tokens must be train.sequence_length when packing is whole ({rows} != {context})")
    if recipe.tokenize.origin == "trained" and recipe.tokenize.vocabulary is None:
        faults.append("tokenize.vocabulary: a trained tokenizer needs a number of tokens, e.g. 8192")
    if recipe.tokenize.origin == "base" and recipe.acquire.base is None:
        faults.append("tokenize.origin is base, but the recipe names no acquire.base")
    faults += [*_training(recipe), *_comparisons(recipe)]
    if "baseline" not in validate.model_fields_set:
        # DVC follows this one key, and stops at a key that is not there.
        faults.append(
            "validate.baseline: missing; write `baseline: null` if there is no earlier release to compare with"
        )
    if recipe.prepare.validation_share + recipe.prepare.test_share >= 1:
        faults.append("prepare.validation_share and prepare.test_share must leave something to train on")
    return faults


def _training(recipe: Recipe) -> list[str]:
    """Rules of the section `train` that involve more than one key."""
    train, acquire = recipe.train, recipe.acquire
    pairs, kind = train.objective.kind in ("dpo", "simpo"), train.objective.kind
    devices = train.devices.count * train.devices.nodes
    micro = train.micro_batch_size or 1
    every = train.keep.every
    rules = {
        "train.architecture: missing; a model from scratch needs one (or set train.start to base)": (
            train.start == "scratch" and train.architecture is None
        ),
        "train.architecture: a base brings its own; remove it, or set train.start to scratch": (
            train.start == "base" and train.architecture is not None
        ),
        "train.start is base, but the recipe names no acquire.base": train.start == "base" and acquire.base is None,
        "train.start is base, so tokenize.origin must be base": (
            train.start == "base" and recipe.tokenize.origin != "base"
        ),
        "train.adapter needs train.start: base": train.adapter is not None and train.start != "base",
        "train.base_bits needs train.adapter": train.base_bits is not None and train.adapter is None,
        "train.objective is distill, but the recipe names no acquire.teacher": (
            kind == "distill" and acquire.teacher is None
        ),
        f"train.base_bits holds the base on one device, and train.devices asks for {devices}": (
            train.base_bits is not None and devices > 1
        ),
        f"train.objective is {kind}, so train.start must be base": pairs and train.start != "base",
        f"train.objective is {kind}, so tokenize.packing must be stream": pairs and recipe.tokenize.packing != "stream",
        f"train.batch_size ({train.batch_size}) must be a multiple of the {devices} devices times "
        f"train.micro_batch_size ({micro})": train.batch_size % (devices * micro) != 0,
        f"train.keep.every ({every}) must be a multiple of train.checkpoint_every ({train.checkpoint_every})": (
            every is not None and every % train.checkpoint_every != 0
        ),
    }
    return [rule for rule, broken in rules.items() if broken]


def _comparisons(recipe: Recipe) -> list[str]:
    """Rules of `release.gate`: stages exist; what is compared is measured, once, and beside something that there is."""
    gate, evaluate, faults = recipe.release.gate, recipe.evaluate, []
    own = [name for name in OWN_TASKS if name != "question" or evaluate.question is not None]
    measured = [*own, *(task.name for task in evaluate.files), *(task.name for task in evaluate.harness)]
    for number, stage in enumerate(check.report for check in gate.checks):
        if stage not in REPORTS:
            faults.append(f"release.gate.checks.{number}.report: no stage `{stage}`; there is: {', '.join(REPORTS)}")
    pairs = [(one.task, one.against) for one in gate.comparisons]
    for number, (task, against) in enumerate(pairs):
        where = f"release.gate.comparisons.{number}"
        if task not in measured:
            near = difflib.get_close_matches(task, measured, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"it measures {', '.join(measured)}"
            faults.append(f"{where}.task: the section evaluate measures no `{task}`; {hint}")
        if against == "base" and recipe.train.start != "base":
            faults.append(f"{where}.against is base, but train.start is {recipe.train.start}; say champion")
        if against == "base" and gate.comparisons[number].reference is not None:
            faults.append(f"{where}.reference stands in for a champion; a comparison with the base has none")
        if (task, against) in pairs[:number]:
            faults.append(f"{where}: {task} is compared with the {against} twice; keep one of the two")
    if gate.first_release == "base" and recipe.train.start != "base":
        faults.append(
            f"release.gate.first_release is base, but train.start is {recipe.train.start}; say references or nothing"
        )
    return faults


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.GenericAlias | types.UnionType) or typing.get_args(annotation):
        return [model for arg in typing.get_args(annotation) for model in _models(arg)]
    return []


def _siblings(location: tuple[str | int, ...]) -> set[str]:
    """Names that are allowed where an unknown key was found."""
    models: list[type[BaseModel]] = [Recipe]
    for part in location[:-1]:
        fields = {field.alias or name: field for model in models for name, field in model.model_fields.items()}
        if part in fields:
            models = _models(fields[str(part)].annotation)
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _explain(error: Any) -> str:
    location = error["loc"]
    where = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _siblings(location), n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(_siblings(location)))}"
        return f"{where}: unknown key; {hint}"
    if error["type"] == "missing":
        return f"{where}: missing; add it (recipes/own-data.yaml is a complete file)"
    return f"{where}: {error['msg'].lower()}, found {json.dumps(error['input'], default=str)[:80]}"


def parse(values: Any, origin: str = "params.yaml") -> Recipe:
    """Check `values` (plain dicts and lists) against the recipe.

    Raises:
        UserError: naming `origin` and, for each fault, key, value and what is expected.
    """
    try:
        # Through JSON, so that a list is a tuple and yet "3" is not 3.
        recipe = Recipe.model_validate_json(json.dumps(values))
    except ValidationError as error:
        faults = "\n".join(f"  {_explain(fault)}" for fault in error.errors())
        raise UserError(f"{origin} is not a valid recipe:\n{faults}") from None
    except TypeError as error:
        days = '; put a day in quotes, as `expires: "2026-12-31"`' if "date" in str(error) else ""
        raise UserError(f"{origin} holds a value that JSON cannot express: {error}{days}") from None
    if faults := "\n".join(f"  {fault}" for fault in _bounds(recipe)):
        raise UserError(f"{origin} is not a valid recipe:\n{faults}")
    return recipe


def load(path: str | Path = "params.yaml") -> Recipe:
    """Read and check a recipe file. Raises UserError as `parse` does, and for files that are not YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe").load(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such recipe; run inside a project, or copy recipes/own-data.yaml") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable as YAML: {error}") from None
    return parse(values, str(path))
