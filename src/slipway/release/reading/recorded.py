"""What a release says of its own training: recipe, record and the chain of checkpoints, read from verified bytes.

>>> told = read_run(store, "releases/pydocs/v1", public, verified.release.manifest_sha256)
>>> told.report.checkpoints[0]
(0, '5d0c…')
"""

import json
from dataclasses import dataclass

from pydantic import ValidationError

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.recipe import Recipe, parse
from slipway.records import StageRecord, TrainReport
from slipway.release.bundle import manifest
from slipway.release.reading.reader import Reader
from slipway.release.reading.verify import signed_files
from slipway.settings import Train


@dataclass(frozen=True)
class RecordedRun:
    """The run that made a release."""

    recipe: Recipe
    record: StageRecord
    """Of the stage `train`."""
    report: TrainReport
    libraries: dict[str, str]
    """Name -> version of the packages in the bill of materials."""


def read_run(store: Reader, prefix: str, public: bytes, manifest_sha256: str) -> RecordedRun:
    """Read recipe and record of the release at `prefix`; each file is the signed one, byte for byte.

    `manifest_sha256` is of the release that was verified: a mirror may show another signed one by now.

    Raises:
        Refusal: if the signature or a digest does not hold, or recipe, record and chain contradict each other.
        UserError: if the release is of a Slipway that recorded no chain, or another recipe than this one reads.
    """
    signed = signed_files(store, prefix, public)
    if signed.get(manifest.NAME) != manifest_sha256:
        raise Refusal(f"{store.url}/{prefix}: not the release that was verified a moment ago; do not use this store")
    base = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def read(name: str) -> bytes:
        try:
            data, _ = store.read(base + name)
        except FileNotFoundError:
            raise UserError(f"{store.url}/{base}{name}: missing; this release cannot be replayed") from None
        if sha256_bytes(data) != signed.get(name):
            raise Refusal(f"{store.url}/{base}{name}: not the bytes that were signed; do not use this release")
        return data

    recipe = parse(json.loads(read("recipe.json")), f"{store.url}/{base}recipe.json")
    what = f"{store.url}/{base}records/train.json"
    try:
        record = StageRecord.model_validate_json(read("records/train.json"))
        report = TrainReport.model_validate_json(json.dumps(record.result))
        settings = Train.model_validate_json(json.dumps(record.settings))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise UserError(
            f"{what}: not a record that this Slipway can replay ({where}: {fault['msg']}); use the Slipway that "
            "made the release: its version is in the record"
        ) from None
    steps = [step for step, _ in report.checkpoints]
    if settings != recipe.train or steps != sorted(set(steps)):
        raise Refusal(f"{what}: not a record of the release's own recipe.json; do not believe this release")
    bom = json.loads(read("bom.cdx.json"))
    libraries = {part["name"]: part["version"] for part in bom["components"] if part["type"] == "library"}
    return RecordedRun(recipe, record, report, libraries)
