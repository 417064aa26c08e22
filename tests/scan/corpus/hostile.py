"""The whole hostile corpus."""

from pathlib import Path

from tests.scan.corpus import configs, documents, foreign, fresh, pickles, templates, weights, words
from tests.scan.corpus.case import Case


def corpus(mark: Path) -> list[Case]:
    """Every case; a payload that runs creates `mark`."""
    found = [
        *pickles.cases(mark),
        *weights.cases(),
        *configs.cases(),
        *templates.cases(),
        *documents.cases(),
        *foreign.cases(mark),
        *words.cases(),
        *fresh.cases(),
    ]
    names = [(case.category, case.id) for case in found]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    return found
