"""The words in a chat template itself, wherever they stand and whatever is asked before they are said.

Conditions are no hiding place here: a prompt that is given with tools only, to one role, or when the caller sets a
variable, is in the template as text, in pieces perhaps.
"""

from collections.abc import Iterator

from jinja2 import nodes

from slipway.scan import prose, text
from slipway.scan.subversion import MARKUP, encoded, subverting
from slipway.scan.syntax import Fault


def literals(node: nodes.Node) -> Iterator[tuple[str, int]]:
    """(text, line) of every text of a template, in the order in which they stand there."""
    if isinstance(node, nodes.TemplateData):
        yield node.data, node.lineno
    elif isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value, node.lineno
    for child in node.iter_child_nodes():
        yield from literals(child)


def faults(source: str, tree: nodes.Template) -> Iterator[Fault]:
    """Faults `template.address`, `.control`, `.markup`, `.encoded` and `.subversion` of what a template may say."""
    found = list(literals(tree))
    if address := prose.address(tree):
        yield Fault("template.address", f"holds an address: {address[0][:60]!r}", address[1])
    for said, line in found:
        if odd := text.odd(said):
            yield Fault("template.control", f"writes {odd[0]}", line)
        if markup := MARKUP.search(said):
            yield Fault("template.markup", f"writes {markup[0]!r}, which a page that shows it would run or fetch", line)
        if words := encoded(said):
            yield Fault("template.encoded", f"holds {words[:40]!a} where it cannot be read", line)
    # Put together, as it may be cut into pieces; and as it stands, where remarks speak to those who review it.
    for said in ("".join(said for said, _ in found), " ".join(said for said, _ in found), source):
        if phrase := subverting(said):
            yield Fault("template.subversion", f"says {phrase[:80]!a}", 1)
            return
