"""The part of report.html about the data: what came in, what was taken out and why, what is left and what it asks."""

from markupsafe import Markup

from slipway import page
from slipway.page import Section, digest, table, verdict
from slipway.release.bundle.data_card import shares, steps
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import share

MET = {"met": True, "not met": False, "not run": None}


def _heading(text: str) -> Markup:
    return Markup("<h3>{}</h3>").format(text)


def _funnel(material: Material) -> Markup:
    prepare = material.prepare
    rows: list[list[page.Cell]] = [[s.name, s.rule, s.came, s.rejected, s.went] for s in steps(material)]
    body = _heading("Filters") + table(["step", "asks of a document", "came in", "rejected", "went on"], rows)
    reasons: list[list[page.Cell]] = [[reason, count] for reason, count in sorted(prepare.rejects.items())]
    body += page.fold("Reasons", table(["rejected because", "documents"], reasons))
    kept: list[list[page.Cell]] = [
        [split, prepare.splits[split], prepare.split_characters[split], material.tokenize.tokens.get(split)]
        for split in ("train", "validation", "test")
    ]
    return body + _heading("What was kept") + table(["split", "documents", "characters", "tokens"], kept)


def _licences(material: Material) -> Markup:
    rows: list[list[page.Cell]] = [
        [line.licence, line.category, ", ".join(line.asks) or "nothing", ", ".join(line.sources), line.documents]
        for line in material.prepare.obligations
    ]
    note = f"The release is under {material.prepare.release_licence}, which each of them permits."
    if material.prepare.licences and not rows:
        note = f"Not known: the record lists no obligations. Kept: {', '.join(sorted(material.prepare.licences))}."
    headers = ["licence", "category", "asks", "sources", "documents"]
    return _heading("Licences of what was kept, and what they ask") + page.paragraph(note) + table(headers, rows)


def _contamination(material: Material) -> Markup:
    found = material.prepare.contamination
    rows: list[list[page.Cell]] = [
        [name, count, found.too_short.get(name, 0), share(found.residual.get(name))]
        for name, count in sorted(found.items.items())
    ]
    note = (
        f"{found.documents_rejected:,} documents were rejected because they hold an item, or nearly. The "
        f"residual is the share of a set's words in runs of {found.words} words that kept training text holds too."
    )
    headers = ["set", "items looked for", "too short", "residual"]
    body = _heading("Contamination by what is measured on") + page.paragraph(note) + table(headers, rows)
    hits: list[list[page.Cell]] = [[hit.item, hit.document, share(hit.coverage), hit.how] for hit in found.hits]
    return body + page.fold("Strongest hits", table(["item", "document", "coverage", "found by"], hits))


def _raw(material: Material) -> Markup:
    contract, body = material.contract, Markup("")
    if contract.length_histogram:
        body += _heading("Length of the raw documents")
        body += page.histogram(contract.length_histogram, "characters, lower edge of the bin")
    if contract.characters_by_language:
        body += _heading("Languages of the raw documents") + page.paragraph(contract.language_method)
        languages: list[list[page.Cell]] = [
            [n, count, share(part)] for n, count, part in shares(contract.characters_by_language)
        ]
        body += table(["language", "characters", "share"], languages)
    if contract.documents_by_label:
        body += _heading("Labels of the raw documents")
        labels: list[list[page.Cell]] = [
            [n, count, share(part)] for n, count, part in shares(contract.documents_by_label)
        ]
        body += table(["label", "documents", "share"], labels)
    return body


def _sources(material: Material) -> Markup:
    kept = material.prepare.documents_by_source
    rows: list[list[page.Cell]] = [
        [s.source, s.location, s.version, s.licence or verdict(None, "none stated"), s.documents,
         kept.get(s.source, 0), s.characters, digest(s.digest)]
        for s in material.acquire.sources
    ]  # fmt: skip
    headers = ["source", "location", "version", "licence", "documents", "kept", "characters", "sha256"]
    return _heading("Sources") + table(headers, rows)


def _contract(material: Material) -> Markup:
    rows: list[list[page.Cell]] = [
        [line.name, line.column, verdict(MET[line.status], line.status), line.observed, line.bound]
        for line in material.contract.expectations
    ]
    return _heading("The data contract") + table(["expectation", "column", "status", "observed", "bound"], rows)


def data(material: Material) -> Section:
    """The section `Data`."""
    parts = (_funnel, _licences, _contamination, _raw, _sources, _contract)
    body = Markup("").join(part(material) for part in parts)
    return Section(
        "Data",
        body,
        "Every rejected document is kept with its reason, beside the data. “Not run” means that nothing is known. "
        "DATA.md has known gaps and the EU’s summary of training content.",
    )
