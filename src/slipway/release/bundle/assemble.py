"""Assembles the release directory and closes it with its manifest.

The layout is that of Hugging Face, so that any tool can load it. The same records give the same bytes.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from slipway import items
from slipway.chat import check_tokenizer
from slipway.errors import Refusal, UserError
from slipway.files import BLOCK, sha256_file, weights_of, write_atomic
from slipway.recipe import Recipe
from slipway.records import BundleReport
from slipway.release.bundle import bom, card, data_card, licence, manifest, openness, provenance, report
from slipway.release.bundle.material import Material, load

WRITTEN = (
    *("README.md", "DATA.md", "LICENSE", "bom.cdx.json", "provenance.json", "report.html", "recipe.json"),
    *("inputs.lock", openness.NAME),
)
"""Files that are written here, besides the records."""
Export = Callable[[Path, Path], None]
SOURCES = {"models/trained": "train", "models/tokenizer": "tokenize"}


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the sha256 of the bytes that were copied, in one pass."""
    digest = hashlib.sha256()
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while block := reader.read(BLOCK):
            digest.update(block)
            writer.write(block)
    return digest.hexdigest()


def _copy_model(material: Material, out: Path) -> dict[str, str]:
    """Copy weights, configuration and tokenizer; path -> sha256.

    Raises:
        Refusal: if a file is not the one its stage recorded.
        UserError: if two stages wrote a file of the same name, or the weights are missing.
    """
    copied: dict[str, str] = {}
    for folder, stage in SOURCES.items():
        recorded = material.records[stage].outputs
        for name, source in manifest.entries(material.root / folder).items():
            if name in copied:
                raise UserError(
                    f"{folder}/{name}: the model and the tokenizer both hold a file of this name; rename one"
                )
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            copied[name] = _copy(source, out / name)
            if copied[name] != recorded.get(f"{folder}/{name}"):
                raise Refusal(
                    f"{folder}/{name}: sha256 is {copied[name]}, but {stage} recorded "
                    f"{recorded.get(f'{folder}/{name}', 'no such file')}; rebuild with `slipway build --force {stage}`"
                )
    if "model.safetensors" not in copied and "model.safetensors.index.json" not in copied:
        raise UserError("models/trained holds no model.safetensors; rebuild with `slipway build --force train`")
    return copied


def _copy_items(material: Material, out: Path) -> None:
    """Copy the item table of `evaluate`, which the gate of a later release compares its own with.

    Raises:
        Refusal: if it is not the one that the stage recorded.
        UserError: if it is missing.
    """
    source, name = material.root / "reports" / items.NAME, f"reports/{items.NAME}"
    if not source.is_file():
        raise UserError(f"{name}: no such file; rebuild with `slipway build --force evaluate`")
    (out / "records").mkdir(parents=True, exist_ok=True)
    copied = _copy(source, out / "records" / items.NAME)
    recorded = material.records["evaluate"].outputs.get(name, "no such file")
    if copied != recorded:
        raise Refusal(
            f"{name}: sha256 is {copied}, but evaluate recorded {recorded}; "
            "rebuild with `slipway build --force evaluate`"
        )


def _export(exports: Mapping[str, Export], copied: dict[str, str], out: Path) -> None:
    """Write the model in other forms; `copied` gets their digests."""
    for name, export in exports.items():
        if name in copied:
            raise UserError(f"{name}: the model holds a file of this name, which the release writes itself; remove it")
        export(out, out / name)
        copied[name] = sha256_file(out / name)


def _check_same_weights(material: Material, actual: str) -> None:
    """Every report must speak of the weights that are released."""
    for stage in ("train", "evaluate", "safety"):
        claimed = material.reports[stage].model_dump()["weights_sha256"]
        if claimed != actual:
            raise Refusal(
                f"reports/{stage}.json speaks of weights {claimed}, but models/trained holds {actual}; "
                f"rebuild with `slipway build --force {stage}`"
            )


def _documents(material: Material, copied: dict[str, str], licence_text: str) -> dict[str, str]:
    """Path in the bundle -> text of everything that is written, and not copied."""
    files = {*copied, *WRITTEN, *(f"records/{stage}.json" for stage in material.records), f"records/{items.NAME}"}
    found = openness.openness(material, files)
    texts = {
        "README.md": card.render(material, found),
        "DATA.md": data_card.render(material),
        "LICENSE": licence_text,
        "bom.cdx.json": bom.render(material, copied, found),
        "provenance.json": provenance.render(material, copied),
        "report.html": report.render(material, found),
        "recipe.json": provenance.recipe_json(material.recipe),
        "inputs.lock": (material.root / "inputs.lock").read_text("utf-8"),
        openness.NAME: found.to_json(),
    }
    if texts.keys() != set(WRITTEN):
        raise RuntimeError(f"openness was judged of {sorted(WRITTEN)}, but {sorted(texts)} are written")
    return texts | {f"records/{stage}.json": record.to_json() for stage, record in material.records.items()}


def assemble(
    root: str | Path, recipe: Recipe, out: str | Path | None = None, exports: Mapping[str, Export] | None = None
) -> BundleReport:
    """Build `root`/bundle anew from the recipe, the records and the trained model.

    Args:
        root: the project.
        recipe: its recipe.
        out: another directory to build; it is emptied first.
        exports: name of a file -> what writes it there, from the directory that holds the model.

    Raises:
        Refusal: if a file or a report does not belong to the others.
        UserError: if something is missing, or the licence has no text.
    """
    root = Path(root)
    out = root / "bundle" if out is None else Path(out)
    material = load(root, recipe)
    licence_text = licence.text(root, recipe.bundle.licence, recipe.bundle.title)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    copied = _copy_model(material, out)
    _copy_items(material, out)
    _check_same_weights(material, weights_of(copied))
    made = material.tokenize
    check_tokenizer(out, made.tokenizer_sha256, made.chat_template_sha256)
    _export(exports or {}, copied, out)
    documents = _documents(material, copied, licence_text)
    if clash := sorted({*documents, f"records/{items.NAME}"} & copied.keys()):
        raise UserError(f"{clash[0]}: the model holds a file of this name, which the release writes itself; remove it")
    for name, text in documents.items():
        write_atomic(out / name, text)
    digest = manifest.write(out, recipe.name)
    files = manifest.entries(out)
    if digest != sha256_file(out / manifest.NAME):
        raise Refusal(f"{out / manifest.NAME}: could not be read back as written; check the disk")
    return BundleReport(
        bundle_digest=digest, files=len(files), bytes=sum(path.stat().st_size for path in files.values())
    )
