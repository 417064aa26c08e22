"""Weights and tokenizer of a base or a teacher: copied to `models/base/` or `models/teacher/`, and put on record.

Only what `wanted.SUFFIXES` lists for a model is ever held: tensors, configuration, tokenizer, text.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from slipway.data.sources.files import is_unicode
from slipway.data.sources.held import Held
from slipway.data.sources.licences import normalised
from slipway.data.sources.lock import version_of
from slipway.errors import Refusal, UserError
from slipway.files import BLOCK, combined
from slipway.records import BaseRecord
from slipway.settings import Base


def place_model(model: Base | None, files: Sequence[Held], target: Path) -> BaseRecord | None:
    """Fill `target`, which always exists afterwards and has the name of the recipe's key; None without a model.

    Raises:
        Refusal: for a file that changed since it was checked.
        UserError: if the licence is no SPDX expression, the files are of several folders, or none holds tensors or a
            tokenizer.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if model is None:
        return None
    what = f"acquire.{target.name}"
    if not is_unicode(model.licence) or not (licence := normalised(model.licence)):
        raise UserError(f"{what}: licence `{model.licence}` is not an SPDX expression; see spdx.org/licenses")
    if len(folders := sorted({held.path.rpartition("/")[0] for held in files})) > 1:
        raise UserError(f"{what}: files of several folders, {folders[0]} and {folders[1]}; name one of them")
    # Never more than the last part: an address may hold `..`, which would lead out of `target`.
    names = {held.path.rpartition("/")[2]: held for held in files}
    if not any(name.endswith(".safetensors") or name == "tokenizer.json" for name in names):
        raise UserError(f"{what}: {model.path} holds neither a .safetensors file nor tokenizer.json")
    for name, held in names.items():
        if _copied(held.place, target / name) != held.sha256:
            raise Refusal(f"{held.path}: changed while it was copied; stop whatever writes there, then build again")
    return BaseRecord(
        location=model.path,
        version=version_of(tuple(files)),
        licence=licence,
        digest=combined({name: held.sha256 for name, held in names.items()}),
        files=len(names),
        bytes=sum((target / name).stat().st_size for name in names),
    )


def _copied(place: Path, target: Path) -> str:
    """Copy a file and hash what was copied, in one pass."""
    digest = hashlib.sha256()
    with place.open("rb") as source, target.open("wb") as copy:
        while block := source.read(BLOCK):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()
