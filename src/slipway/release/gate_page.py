"""GATE.html: the gate's verdict for people, beside the report of a release.

The gate judges the finished bundle, so the page is no file of it: it is rendered at signing from the verdict inside
the signed statement, the signature covers it, and the manifest does not list it. A bundle that was refused gets the
same page, unsigned, among the files of its release and in its MLflow run.
"""

import json
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from pydantic import ValidationError

from slipway import page
from slipway.errors import Refusal
from slipway.page import Cell, Section, Sign, number
from slipway.records import GateLine, GateVerdict, Verdict
from slipway.release import audit_page
from slipway.release.approvals.approval import Approvals

NAME = "GATE.html"
SIGNS: dict[Verdict, Sign] = {"GO": "good", "NO-GO": "bad", "INCONCLUSIVE": "look"}
MEANING: dict[Verdict, str] = {
    "GO": "Every line that decides holds: the bundle may be released.",
    "NO-GO": "A line that decides does not hold: nothing is signed or published.",
    "INCONCLUSIVE": "What was measured does not decide it: nothing is signed or published until a person has acted.",
}
TIERS = {
    "critical": ("Critical", "The verdict of each of these lines is the release's."),
    "supporting": (
        "Supporting",
        "A broken one makes the verdict INCONCLUSIVE, so that a person looks; lack of evidence holds nothing up.",
    ),
    "advisory": ("Advisory", "Shown for people to see; holds nothing up."),
    "built-in": (
        "Built in",
        "Asked of every release, whatever the recipe says: these very bytes, scanned and on record.",
    ),
}


@dataclass(frozen=True)
class Signed:
    """What stands beside the verdict in a release statement."""

    release: str
    """`NAME VERSION`."""
    approvals: Approvals | None
    created: str
    """Time of signing, ISO 8601."""


def stated(content: dict[str, Any]) -> bool:
    """Whether a release statement asks for the page; releases made before there was one do not."""
    return NAME in content["predicate"]["buildDefinition"].get("internalParameters", {}).get("pages", [])


def read(content: dict[str, Any], what: str) -> tuple[GateVerdict, Signed]:
    """The verdict in the content of a release statement that asks for the page, and what stands beside it.

    Raises:
        Refusal: if this version cannot read it.
    """
    built, details = content["predicate"]["buildDefinition"], content["predicate"]["runDetails"]
    inner, release = built["internalParameters"], built["externalParameters"]["release"]
    try:
        verdict = GateVerdict.model_validate_json(json.dumps(inner["gate"]))
        approvals = Approvals.model_validate_json(json.dumps(inner["approvals"])) if inner["approvals"] else None
        when = details["metadata"]["finishedOn"]
        return verdict, Signed(f"{release['name']} {release['version']}", approvals, when)
    except (ValidationError, KeyError) as error:
        raise Refusal(
            f"{what}: the gate's verdict in it cannot be read ({type(error).__name__}); release with the version of "
            "Slipway that wrote it"
        ) from None


def sign(line: GateLine) -> Markup:
    """The verdict of a line as a label; one that is waived says so."""
    if line.waived_by:
        return page.mark("look", f"{line.verdict}, waived" if line.verdict != "GO" else "waived")
    return page.mark(SIGNS[line.verdict], line.verdict)


def _told(line: GateLine) -> Markup:
    """Why it is asked, what is asked, and the name for waivers, which most checks hold already."""
    told = Markup('{}<span class="why">{}</span>').format(line.reason or line.check, line.check)
    if line.id not in line.check:
        told += Markup('<span class="why"><code>{}</code></span>').format(line.id)
    return told


def _interval(line: GateLine) -> str | None:
    measure = line.measure
    if measure is None or measure.low is None or measure.high is None:
        return None
    return f"{number(measure.low)} to {number(measure.high)}".replace(" ", "\u00a0")


def _found(line: GateLine) -> Markup:
    if not line.action:
        return page.prose(line.observed)
    todo = Markup('<span>{}<span class="why">To do: {}</span></span>')
    return todo.format(page.prose(line.observed), page.prose(line.action))


def _columns_say_it(line: GateLine) -> bool:
    """Whether words would only repeat the figures beside them."""
    return line.verdict == "GO" and line.p_value is None and line.waived_by is None


def _lines(lines: list[GateLine]) -> Markup:
    """Lines with a figure, then those without."""
    figures = [line for line in lines if line.measure is not None or line.value is not None]
    rows: list[list[Cell]] = [
        [
            _told(line) + ("" if _columns_say_it(line) else Markup('<span class="why">{}</span>').format(_found(line))),
            sign(line),
            line.measure.value if line.measure else line.value,
            _interval(line),
            line.bound,
            line.measure.n if line.measure else None,
        ]
        for line in figures
    ]
    headers = ["what is asked", "verdict", "figure", "95 % interval", "bound", "n"]
    body = page.table(headers, rows, cards=True) if rows else Markup("")
    plain: list[list[Cell]] = [[_told(line), sign(line), _found(line)] for line in lines if line not in figures]
    return body + (page.table(["what is asked", "verdict", "found"], plain, cards=True) if plain else Markup(""))


def _compared(verdict: GateVerdict) -> str:
    if verdict.champion:
        return f"Compared with the champion, {verdict.champion}."
    words = f"First release; in place of a champion: {verdict.stand_in}."
    return words if verdict.stand_in else "Compared with no earlier release."


def _first(verdict: GateVerdict, signed: Signed | None, report: str) -> Section:
    """The verdict, and what a person can do about each line that keeps it from GO."""
    open_lines = [line for line in verdict.lines if line.verdict != "GO" and not line.waived_by]
    link = Markup('What was measured, and how: <a href="{}">report.html</a>.').format(report)
    body = page.banner(SIGNS[verdict.verdict], verdict.verdict, MEANING[verdict.verdict], _compared(verdict), link)
    body += page.facts(
        [
            ("release", signed.release if signed else "not released"),
            ("bundle", page.digest(verdict.bundle_digest)),
            ("lines", len(verdict.lines)),
            ("not GO", len([line for line in verdict.lines if line.verdict != "GO"])),
            ("waived", len([line for line in verdict.lines if line.waived_by])),
        ]
    )
    for line in open_lines:
        body += page.heading(line.check) + Markup("<p>{} {} ({})</p>").format(
            sign(line), page.prose(line.observed), line.tier
        )
        body += (
            page.paragraph(Markup("<strong>To do:</strong> {}").format(page.prose(line.action))) if line.action else ""
        )
    return Section("Verdict", body)


def _people(verdict: GateVerdict, signed: Signed | None) -> Section:
    waived: list[list[Cell]] = [[_told(line), line.waived_by] for line in verdict.lines if line.waived_by]
    body = page.heading("Waivers")
    body += page.table(["line", "by, why, until"], waived, cards=True) if waived else page.paragraph("None in force.")
    body += page.heading("Approvals")
    approvals = signed.approvals if signed else None
    if approvals is None or not approvals.approvers:
        body += page.paragraph(f"{approvals.summary if approvals else 'not asked yet'}.".capitalize())
    else:
        rows: list[list[Cell]] = [[one.name, one.time, page.digest(one.key_sha256)] for one in approvals.approvers]
        body += page.table(["name", "time, as their machine said", "key"], rows, cards=True)
    return Section("Waivers and approvals", body, "What people answer for, by name.")


def render(verdict: GateVerdict, signed: Signed | None = None, *, report: str = "report.html") -> str:
    """The text of GATE.html; equal arguments give equal bytes.

    Args:
        verdict: what the gate said.
        signed: of a release; None for a bundle that was not released.
        report: where the report lies, seen from the page.
    """
    sections = [_first(verdict, signed, report)]
    for tier, (title, intro) in TIERS.items():
        if lines := [line for line in verdict.lines if line.tier == tier]:
            sections.append(Section(title, _lines(lines), intro))
    if verdict.audit:
        sections.append(audit_page.section(verdict.audit))
    sections.append(_people(verdict, signed))
    when = f"Signed {signed.created}" if signed else "Not signed"
    told = "an interval is of 95 %; a comparison's figure is the paired difference, positive where the model is better"
    return page.render(f"Gate: {verdict.verdict}", f"{when}; {told}.", sections)
