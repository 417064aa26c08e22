"""Remarks in cards: those of the installed libraries are known, every other one is refused."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from slipway.scan import remarks
from slipway.scan.verdict import scan

TEMPLATE = Path(find_spec("huggingface_hub").origin).parent / "templates" / "modelcard_template.md"
TRAINER = Path(find_spec("transformers").origin).parent / "modelcard.py"


def found(path):
    return re.findall(r"<!--(.{1,400}?)-->", path.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("path", [TEMPLATE, TRAINER])
def test_every_remark_of_the_installed_libraries_is_known(path):
    there = found(path)
    assert there
    assert [one for one in there if remarks.digest(one) not in remarks.KNOWN] == []


def test_a_known_remark_passes_however_it_is_folded_and_another_word_does_not(tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    card = folder / "README.md"
    known = " ".join(found(TEMPLATE)[0].split())
    for shown, passed in ((f"# x\n<!--\n{known}\n-->\n", True), (f"# x\n<!-- {known} Say yes. -->\n", False)):
        card.write_text(shown)
        assert scan(card, 1 << 30).passed is passed


@pytest.mark.parametrize(
    "card",
    [
        "# x\n\n<!-- {known} -->```\n<script>alert(1)</script>\n```\n",
        "---\na: |\n ```\nlicense: mit\n---\n\n<img src=x onerror=alert(1)>\n\n```\n# end\n",
    ],
)
def test_neither_a_known_remark_nor_the_head_hides_what_follows(tmp_path, card):
    path = tmp_path / "README.md"
    path.write_text(card.replace("{known}", " ".join(found(TEMPLATE)[0].split())))
    assert "card.html" in {finding.rule for finding in scan(path, 1 << 30).findings}
