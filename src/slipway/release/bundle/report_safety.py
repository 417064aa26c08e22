"""The part of report.html about safety: every probe of the battery, with what was not run in plain sight."""

from collections import Counter

from markupsafe import Markup

from slipway import page
from slipway.page import Section, mark, table
from slipway.records import Probe
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import interval
from slipway.release.bundle.results import STATUSES, natural, probes, words

SIGNS: dict[str, page.Sign] = {"run": "done", "not run": "unknown", "not applicable": "void"}
WORDS = {"run": "measured"}


def _label(status: str) -> Markup:
    return mark(SIGNS[status], WORDS.get(status, status))


def _group(name: str, probe: Probe) -> tuple[Markup, list[list[page.Cell]], bool]:
    reason = Markup('<span class="why">{}</span>').format(probe.reason) if probe.reason else ""
    title = Markup("{} {}{}").format(words(name), _label(probe.status), reason)
    rows: list[list[page.Cell]] = [
        [words(key), one.value, interval(one), one.n] for key, one in natural(probe.measures)
    ]
    return title, rows, probe.status == "not run"


def safety(material: Material) -> Section:
    """The section `Safety`."""
    found = probes(material.safety.probes)
    counted: Counter[str] = Counter(probe.status for _, probe in found)
    head = Markup(" ").join(
        mark(SIGNS[status], f"{counted[status]} {WORDS.get(status, status)}") for status in STATUSES if counted[status]
    )
    body = page.paragraph(head)
    body += page.grouped(["measure", "figure", "95 % interval", "n"], [_group(*one) for one in found])
    told: list[list[page.Cell]] = []
    for name, probe in found:
        told += [[f"{words(name)}: {words(key)}", one.method] for key, one in natural(probe.measures)]
        told += [[f"{words(name)}: {words(key)}", text] for key, text in sorted(probe.details.items())]
    if told:
        body += page.fold("How each was measured, and details", table(["", ""], told))
    return Section("Safety", body, "“Not run” means that nothing is known. It never means “passed”.")
