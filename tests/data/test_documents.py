"""Documents and their turns."""

from hypothesis import given
from hypothesis import strategies as st

from slipway.data.documents import Document, Turn, dumped, loaded, schema, text_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT).map(lambda pair: Turn(*pair))))
def test_turns_survive_the_column(turns):
    assert loaded(dumped(turns)) == turns


def test_the_text_of_turns_is_their_contents():
    assert text_of([Turn("user", "a"), Turn("assistant", "b")]) == "a\n\nb"


def test_the_columns_are_the_fields():
    assert tuple(schema().names) == Document._fields
