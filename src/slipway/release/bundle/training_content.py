"""The public summary of training content that the EU asks of providers of general-purpose AI models.

Follows the sections of the Commission's template (explanatory notice and template for the public summary of
training content, C(2025) 8311 final of 5 December 2025; Regulation (EU) 2024/1689, article 53(1)(d)): 1 general
information, 2 list of data sources, 3 data processing aspects. A draft for the provider to check, not legal advice.

Rules: an answer is a projection of records and recipe; what neither can tell is "not stated", and never "no".
"""

from collections.abc import Callable
from dataclasses import dataclass

from slipway.page import number
from slipway.records import SourceRecord
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import share
from slipway.settings import FileSource

NOT_STATED = "not stated"
LARGE = 0.03
"""Share of the characters of its kind above which a public data set is listed by name."""
SIZES = ((10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
LARGEST = "more than 10 trillion tokens"


@dataclass(frozen=True)
class Part:
    """One numbered section: questions of the template with their answers."""

    number: str
    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Origin:
    """A source of which something was kept, with what the recipe says of where it comes from."""

    record: SourceRecord
    kind: str | None
    collected: str | None
    characters: int
    """Kept, in all splits."""


def _origins(material: Material) -> list[Origin]:
    """Sources with kept text, largest first; packages of a public index are public data by their kind."""
    settings = {source.name: source for source in material.recipe.acquire.sources}
    kept = material.prepare.characters_by_source
    found = []
    for record in material.acquire.sources:
        if not (characters := kept.get(record.source, 0)):
            continue
        stated = settings.get(record.source.split("/", 1)[0])
        kind, collected = "public" if record.kind == "pydocs" else None, None
        if isinstance(stated, FileSource):
            kind, collected = stated.origin, stated.collected
        found.append(Origin(record, kind, collected, characters))
    return sorted(found, key=lambda one: (-one.characters, one.record.source))


def _described(one: Origin, total: int) -> str:
    record = one.record
    parts = [record.location, record.version, record.licence or "no licence stated"]
    words = ", ".join(part for part in parts if part)
    return f"{record.source} ({words}): {number(one.characters)} characters, {share(one.characters / total)}"


def _listed(some: list[Origin]) -> str:
    total = sum(one.characters for one in some)
    return "; ".join(_described(one, total) for one in some)


def _used(some: list[Origin], origins: list[Origin]) -> str:
    """Yes, no, or not stated while some source keeps silent about where it comes from."""
    if some:
        return "yes"
    silent = sum(one.kind is None for one in origins)
    return f"{NOT_STATED}: {silent} of {len(origins)} sources state no origin" if silent else "no"


def _general(material: Material) -> list[Part]:
    about, base, train = material.recipe.bundle, material.acquire.base, material.tokenize.tokens["train"]
    size = next((words for bound, words in SIZES if train < bound), LARGEST)
    collected = sorted({one.collected for one in _origins(material) if one.collected})
    shapes = ", ".join(
        f"{shape}: {number(count)} documents" for shape, count in sorted(material.prepare.shapes.items())
    )
    languages = material.contract.characters_by_language
    looked = sum(languages.values())
    ranked = sorted(languages.items(), key=lambda item: (-item[1], item[0]))
    mix = ", ".join(f"{name} {share(count / looked)}" for name, count in ranked)
    mix += f" of the characters looked at in the raw data ({material.contract.language_method})"
    modified = f"a modification of {base.location}{f' at {base.version}' if base.version else ''}" if base else ""
    if teacher := material.acquire.teacher:
        taught = f"learnt from {teacher.location}{f' at {teacher.version}' if teacher.version else ''}"
        modified = f"{modified}; {taught}" if modified else taught
    more = (
        f"{number(train)} tokens in the training split, {number(material.prepare.split_characters['train'])} characters"
    )
    return [
        Part(
            "1.1",
            "Provider",
            (
                ("Name", about.provider or NOT_STATED),
                ("Contact", about.contact or NOT_STATED),
                ("Authorised representative", NOT_STATED),
            ),
        ),
        Part(
            "1.2",
            "Model",
            (
                ("Name and version", f"{material.recipe.name}; its version stands in the signed release statement"),
                ("Model that it depends on", modified or "none: trained from scratch"),
                ("Date of release", "see the signed release statement"),
            ),
        ),
        Part(
            "1.3",
            "Modalities, size and characteristics of the training data",
            (
                ("Modality", "text"),
                ("Size", f"{size} ({more}){'; the text behind the base model not included' if base else ''}"),
                ("Types of content", shapes),
                ("Collected", "; ".join(collected) or NOT_STATED),
                ("Languages", mix if looked else NOT_STATED),
            ),
        ),
    ]


def _public(origins: list[Origin]) -> Part:
    public = [one for one in origins if one.kind == "public"]
    total = sum(one.characters for one in public)
    large = [one for one in public if one.characters > LARGE * total]
    rest = sum(one.characters for one in public if one not in large)
    rows = (
        ("Used", _used(public, origins)),
        ("Large ones", "; ".join(_described(one, total) for one in large) or "none named"),
        ("Counted as large", f"more than {share(LARGE)} of the kept characters of this kind"),
        ("Others", f"{len(public) - len(large)}, {number(rest)} characters together" if rest else "none"),
    )
    return Part("2.1", "Publicly available data sets", rows)


def _sources(material: Material) -> list[Part]:
    origins = _origins(material)
    silent = [one for one in origins if one.kind is None]

    def asked(kind: str) -> tuple[tuple[str, str], ...]:
        some = [one for one in origins if one.kind == kind]
        return (("Used", _used(some, origins)), ("Which", _listed(some) or "none named"))

    crawled = [one for one in origins if one.kind == "crawled"]
    of_crawl = NOT_STATED if crawled or silent else "not applicable: no crawl"
    crawl = (
        ("Crawlers, their names and behaviour", of_crawl),
        ("Period of collection", "; ".join(sorted({one.collected for one in crawled if one.collected})) or of_crawl),
        ("Most relevant domains", of_crawl),
    )
    synthetic = any(one.kind == "synthetic" for one in origins)
    makers = NOT_STATED if synthetic or silent else "not applicable: no synthetic source"
    return [
        _public(origins),
        Part(
            "2.2",
            "Private data sets of third parties",
            (*asked("licensed"), ("From third parties, not licensed commercially", NOT_STATED)),
        ),
        Part("2.3", "Data crawled and scraped from online sources", (*asked("crawled"), *crawl)),
        Part("2.4", "User data", asked("user")),
        Part(
            "2.5",
            "Synthetic data",
            (*asked("synthetic"), ("Models that made it", makers), ("Canaries", _canaries(material))),
        ),
        Part("2.6", "Other sources", (*asked("other"), ("Origin not stated", _listed(silent) or "none"))),
    ]


def _canaries(material: Material) -> str:
    planted = material.prepare.canaries
    return (
        f"{number(planted)} documents of random strings, made by Slipway to measure memorisation" if planted else "none"
    )


def _processing(material: Material) -> list[Part]:
    about, prepare = material.recipe.bundle, material.recipe.prepare
    actions = ", ".join(f"{kind}: {action}" for kind, action in prepare.pii)
    return [
        Part(
            "3.1",
            "Reservations of rights from text and data mining",
            (
                ("Signatory of the Code of Practice", NOT_STATED),
                ("Measures", about.rights_reservation or NOT_STATED),
                ("Licence filter", f"only documents under {', '.join(prepare.licences)} were kept"),
            ),
        ),
        Part(
            "3.2",
            "Removal of illegal content",
            (
                ("Measures", about.illegal_content or NOT_STATED),
                ("Personal data and secrets, by pattern", actions),
            ),
        ),
        Part(
            "3.3",
            "Other information",
            (
                ("Filters, duplicates, contamination", "see the sections above"),
                ("Evidence", "digests of every source in `inputs.lock`, of every stage in `provenance.json`"),
            ),
        ),
    ]


def summary(material: Material) -> list[tuple[str, list[Part]]]:
    """The three sections of the template with their parts, in its order."""
    sections: tuple[tuple[str, Callable[[Material], list[Part]]], ...] = (
        ("1. General information", _general),
        ("2. List of data sources", _sources),
        ("3. Data processing aspects", _processing),
    )
    return [(title, parts(material)) for title, parts in sections]
