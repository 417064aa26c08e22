"""How far the data has moved from an earlier release's: Jensen-Shannon distances between mixtures.

The earlier release is known by its record alone, `records/validate.json` of its bundle. The distance is the square
root of the divergence in bits (Endres and Schindelin 2003; scipy computes it): 0 for equal shares, 1 for mixtures
that have nothing in common.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from slipway.errors import UserError
from slipway.files import sha256_file
from slipway.records import ValidateReport, read_record, read_report


@dataclass(frozen=True)
class Baseline:
    """The record that drift is measured against."""

    sha256: str
    report: ValidateReport


def baseline(path: Path, stated: str | None) -> Baseline | None:
    """The record at `path`; None if the recipe states none.

    Raises:
        UserError: if it is missing or not the record of a data contract.
    """
    if stated is None:
        return None
    wrong = f"validate.baseline: {stated} is not `records/validate.json` of a release: "
    if not path.is_file():
        raise UserError(f"validate.baseline: {path.name} is missing in data/baseline; run acquire again")
    try:
        record = read_record(path)
        if record.stage != "validate":
            raise UserError(f"it is the record of `{record.stage}`")
        return Baseline(sha256_file(path), read_report(path))
    except UserError as error:
        raise UserError(f"{wrong}{error}") from None


class Mixed(Protocol):
    """What has mixtures to compare: a record, and what is measured now."""

    @property
    def length_histogram(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def characters_by_source(self) -> dict[str, int]: ...
    @property
    def characters_by_language(self) -> dict[str, int]: ...
    @property
    def documents_by_licence(self) -> dict[str, int]: ...


def mixtures(data: Mixed) -> dict[str, dict[Any, int]]:
    """What is compared: length (lower edge to documents), source, language (characters each), licence (documents)."""
    return {
        "length": dict(data.length_histogram),
        "source": data.characters_by_source,
        "language": data.characters_by_language,
        "licence": data.documents_by_licence,
    }


def drift(ours: Mixed, theirs: Mixed) -> dict[str, float]:
    """Length, source, language, licence to the distance between the two; left out where one of them has nothing."""
    mine, other = mixtures(ours), mixtures(theirs)
    found = {about: distance(mine[about], other[about]) for about in mine}
    return {about: value for about, value in found.items() if value is not None}


def distance(ours: Mapping[Any, int], theirs: Mapping[Any, int]) -> float | None:
    """Jensen-Shannon distance, 0 to 1; None if one of them is empty."""
    from scipy.spatial.distance import jensenshannon

    if not sum(ours.values()) or not sum(theirs.values()):
        return None
    names = sorted(ours.keys() | theirs.keys(), key=json.dumps)
    shares = [[mixture.get(name, 0) / sum(mixture.values()) for name in names] for mixture in (ours, theirs)]
    if shares[0] == shares[1]:
        return 0.0
    return min(max(float(jensenshannon(*shares, base=2)), 0.0), 1.0)
