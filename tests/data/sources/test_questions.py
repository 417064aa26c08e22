"""Questions whose answers are the docstring's own words, and none where it has no answer."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from slipway.chat import CONTROL, TEMPLATE, Chat
from slipway.data.documents import loaded, text_of
from slipway.data.sources import acquire, fetch, write_lock
from slipway.data.sources.questions import questions
from slipway.data.tokens.render import rendered
from slipway.recipe import load
from slipway.shards import shards
from tests.data.conftest import PROJECT
from tests.data.sources.conftest import quiet

ARGSORT = """
Returns the indices that would sort an array,
along one axis.

Perform an indirect sort.

Parameters
----------
a : array_like
    Array to sort.
axis : int or None, optional
    Axis along which to sort.
    note : not a parameter
*args, **kwargs : dict

Returns
-------
index : ndarray
""".strip()


def asked(docstring, name="np.argsort", signature="def np.argsort(a)"):
    return {mark: tuple(turn.content for turn in turns) for mark, turns in questions(name, signature, docstring)}


def test_the_answers_are_the_docstrings_own_lines():
    found = asked(ARGSORT)
    assert found[""][1] == "Returns the indices that would sort an array,\nalong one axis."
    assert found["?parameters"][1] == "a : array_like\naxis : int or None, optional\n*args, **kwargs : dict"
    assert all("`np.argsort`" in question for question, _ in found.values())
    assert all(line in ARGSORT.split("\n") for _, answer in found.values() for line in answer.split("\n"))


def test_roles_and_phrasing_depend_on_the_name_alone():
    (mark, turns), *_ = questions("np.argsort", "def np.argsort(a)", ARGSORT)
    assert (mark, [turn.role for turn in turns]) == ("", ["user", "assistant"])
    assert asked(ARGSORT) == asked(ARGSORT)
    phrasings = {asked("Sort it.", f"m.f{n}")[""][0].replace(f"m.f{n}", "") for n in range(50)}
    assert phrasings == {"What does `` do?", "What is `` for?", "Explain `` in short."}
    classes = {asked("Sort it.", f"m.C{n}", f"class m.C{n}")[""][0].replace(f"m.C{n}", "") for n in range(50)}
    assert classes == {"What is ``?", "What is `` for?", "Explain `` in short."}


@pytest.mark.parametrize(
    ("docstring", "answer"),
    [
        ("argsort(a, axis=-1)\n\nSort it well.", "Sort it well."),
        ("=====\nTitle\n=====\n\nWhat it is.", "What it is."),
        ("Title (:mod:`np`)\n=================\n\nWhat it is.\n\nMore.", "What it is."),
        ("  Sort it.  \n\nMore.", "Sort it."),
    ],
)
def test_the_summary_comes_after_a_title_or_a_repeated_signature(docstring, answer):
    assert asked(docstring)[""][1] == answer


@pytest.mark.parametrize(
    "docstring",
    [
        "",
        "Word.",
        "Clean arguments to:\n\n1. all",
        "Returns\n-------\nbool",
        "Sort it.\nReturns\n-------\nbool",
        ".. deprecated:: 3.5\n   Use another one.",
        ":param x: the value of it",
        ">>> f(1) + g(2)",
        "argsort(a)",
    ],
)
def test_what_is_no_prose_answers_nothing(docstring):
    assert "" not in asked(docstring)


def test_parameters_are_asked_only_of_a_section_that_names_some():
    assert "?parameters" not in asked("Sort it.")
    assert "?parameters" not in asked("Sort it.\n\nParameters\n----------\n\nReturns\n-------\nx : int")
    assert "?parameters" not in asked("Sort it.\n\nParameters\nx : int")
    assert asked("Parameters\n----------\nx : int\n    The x.")["?parameters"][1] == "x : int"
    assert "?parameters" not in asked("Sort it.\n\nParameters\n----------")


def test_a_source_of_questions_gives_conversations_in_the_groups_of_its_documents(with_sources, tmp_path):
    def rows(name: str, **settings):
        recipe = with_sources({"kind": "pydocs", "name": "docs", "packages": ["tqdm"], **settings})
        root: Path = tmp_path / name
        root.mkdir()
        write_lock(recipe, root, {})
        report = acquire(recipe, root, fetch(recipe, root, {}), quiet)
        lock = (root / "inputs.lock").read_bytes()
        found = [r for path in shards(root / "data/raw", "documents") for r in pq.read_table(path).to_pylist()]
        return report, found, lock

    _, texts, lock = rows("texts")
    report, talks, same = rows("talks", questions=True)
    again = rows("again", questions=True)
    assert lock == same
    assert (report, talks) == again[:2]
    groups = {row["id"]: row["group"] for row in texts}
    bodies = {row["id"]: row["text"] for row in texts}
    assert report.shapes == {"chat": len(talks)}
    assert report.skipped["docstring answers no question"] == len(groups) - len(
        {row["id"].removesuffix("?parameters") for row in talks}
    )
    assert len({row["id"] for row in talks}) == len(talks) > 30
    assert any(row["id"].endswith("?parameters") for row in talks)
    for row in talks:
        of = row["id"].removesuffix("?parameters")
        turns = loaded(row["turns"])
        assert row["group"] == groups[of]
        assert row["text"] == text_of(turns)
        assert row["signature"] is None
        assert all(line in bodies[of] for line in turns[1].content.split("\n"))
        assert rendered("chat", row["turns"], Chat(TEMPLATE, CONTROL))


def test_what_the_recipe_holds_out_was_held_out_from_its_base():
    """The side of a module is a hash of seed and module against the shares: they must be those of the base's recipe."""
    base, own = load(PROJECT / "params.yaml"), load(PROJECT / "recipes/pydocs-instruct.yaml")
    (docs,), (questions_,) = base.acquire.sources, own.acquire.sources
    assert own.acquire.base.path == f"release://{base.name}"
    assert own.seed == base.seed
    for share in ("test_share", "validation_share"):
        assert getattr(own.prepare, share) == getattr(base.prepare, share)
    assert set(questions_.packages) <= set(docs.packages)
    assert (questions_.questions, questions_.exclude) == (True, docs.exclude)
    assert own.train.sequence_length <= base.train.sequence_length
    assert base.tokenize.conversations, "or the base could not tell turns apart"
    asked = [line.value for line in own.release.gate.checks if line.report == "evaluate"]
    assert asked == ["tasks.answers.base_difference.high"]
