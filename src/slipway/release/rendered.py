"""The pages beside a release that are made from its signed statement: LEDGER.md and GATE.html.

The signature covers them and the manifest does not list them. Whoever takes up an interrupted release finds the
statement in the store and makes the same pages. A release that states none has none.
"""

from typing import Any

from slipway.release import gate_page, ledger

NAMES = (ledger.NAME, gate_page.NAME)


def stated(content: dict[str, Any]) -> list[str]:
    """Names of the pages that belong beside the release with this statement."""
    return [part.NAME for part in (ledger, gate_page) if part.stated(content)]


def render(content: dict[str, Any], what: str) -> dict[str, bytes]:
    """Name -> bytes of those pages; raises Refusal, naming `what`, for a statement that this version cannot read."""
    found = {}
    if ledger.stated(content):
        found[ledger.NAME] = ledger.render(ledger.read(content, what)).encode()
    if gate_page.stated(content):
        found[gate_page.NAME] = gate_page.render(*gate_page.read(content, what)).encode()
    return found
