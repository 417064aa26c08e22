"""The threat model names tests for what it says; every one of them exists, and every claim has one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/.-]+\.py)::(\w+)`", PAGE)))


def functions(path: Path) -> set[str]:
    """Names of the tests in a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_it_names_exists(path):
    assert (ROOT / path).is_file(), f"{path} is named, but is not there"
    missing = {name for file, name in NAMED if file == path} - functions(ROOT / path)
    assert not missing, f"{path} lacks {sorted(missing)}"


def test_every_attack_says_what_stops_it_what_does_not_and_what_shows_it():
    rows = [line for line in PAGE.splitlines() if re.match(r"\| (?!attack|who|---)", line) and line.count("|") >= 5]
    assert len(rows) > 25
    for row in rows:
        attack, stops, remains, shown = (cell.strip() for cell in row.strip("|").split("|"))
        assert all((attack, stops, remains)), row
        assert "::" in shown, f"no test shows it: {attack}"
