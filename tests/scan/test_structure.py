"""Strict JSON: depth without recursion, and long texts read as short ones are."""

import json
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.scan import structure
from slipway.scan.subject import Subject


def test_depth_counts_brackets_outside_of_strings():
    assert structure.depth(rb'{"a": "[[[[\"[[", "b": [{"c": []}]}') == 4
    assert structure.depth(b"[" * 9) == 9
    assert structure.depth(b"[" * 900) == structure.DEPTH + 1


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.text('a"[{]}\\\u00e9\U0001f600', max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('b"[}\\', max_size=4), inner, max_size=3),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_depth_is_that_of_the_document_whatever_its_texts_hold(value, ascii_only):
    def nested(here):
        inner = here.values() if isinstance(here, dict) else here if isinstance(here, list) else None
        return 0 if inner is None else 1 + max(map(nested, inner), default=0)

    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    with mock.patch.object(structure, "BLOCK", 3):
        assert structure.depth(content) == nested(value)


@pytest.mark.parametrize(
    ("content", "same"),
    [('{"a": "\U0001f600 \\\\\U0001f600 \\n"}', True), ('{"a": "\\\U0001f600"}', False), ("\U0001f600", False)],
)
def test_a_long_text_with_emoji_is_read_as_a_short_one(bare, monkeypatch, content, same):
    monkeypatch.setattr(structure, "LONG", 0)
    path = bare / "x.json"
    path.write_text(content)
    value, findings = structure.parse(Subject(path, path.name, path.stat().st_size))
    assert {finding.rule for finding in findings} == (set() if same else {"json.syntax"})
    assert value == (json.loads(content) if same else None)
