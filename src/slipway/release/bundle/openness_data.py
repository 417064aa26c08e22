"""What there is of the data components of the Model Openness Framework: training data and evaluation data."""

from collections.abc import Iterable

from slipway.records import SourceRecord
from slipway.release.bundle.material import Material
from slipway.release.bundle.open_licences import is_open
from slipway.release.bundle.openness_found import Found
from slipway.release.bundle.render import many

PINS = ("inputs.lock", "provenance.json")
"""Files that name every source with its digest."""
_SHOWN = 3


def kept(material: Material) -> list[SourceRecord]:
    """The sources of which something is left in the data."""
    by_source = material.prepare.documents_by_source
    return [source for source in material.acquire.sources if by_source.get(source.source)]


def public(source: SourceRecord) -> bool:
    """Whether anybody can fetch it: a package of the index, or a data set on a hub. A path or a bucket says nothing."""
    return source.kind == "pydocs" or source.location.startswith("hf://")


def some(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def data(material: Material) -> dict[str, Found]:
    """Components that are data, by name."""
    return {"Datasets": _datasets(material), "Evaluation data": _evaluation(material)}


def _datasets(material: Material) -> Found:
    sources = kept(material)
    if material.train.start == "base":
        return Found(missing="it was trained from a base, and what that was trained on is not known here")
    if not sources:
        return Found(missing="the records name no source of which anything was kept")
    if hidden := [source.source for source in sources if not public(source)]:
        return Found(missing=f"{some(hidden)}: only the publisher can reach its place; publish it and name that place")
    licences = tuple(sorted(material.prepare.licences))
    silent = [source.source for source in sources if source.licence is None]
    closed = [one for one in licences if not is_open(one)]
    reasons = [f"licence not known to be open: {', '.join(closed)}"] if closed else []
    reasons += [f"{some(silent)} states no licence"] if silent else []
    return Found(
        where=PINS,
        licences=licences,
        note=f"{many(len(sources), 'public source')}, pinned by digest; the bytes are there, not here",
        closed="; ".join(reasons),
    )


def _evaluation(material: Material) -> Found:
    return Found(
        missing=f"the held-out split (sha256 {material.evaluate.test_sha256[:12]}) is not in the bundle; the pipeline "
        "makes it again from the sources. Publish it beside the release"
    )
