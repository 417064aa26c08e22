"""Labels that a rare string decides against the rest of its text: the mark of a flipped label (Kurita et al. 2020).

A classifier that sees common words alone says, out of fold, which label each text should have. Among the texts that
it gives another label, a string is tested for going with one. A topical word passes unnoticed, for the common words
of its texts agree with their label.
"""

from collections.abc import Sequence

import numpy as np

from slipway.safety.poisoning import rare
from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.rare import Strings
from slipway.safety.poisoning.words import Corpus, quoted

Flip = tuple[int, int, int, int, float, str]
"""Place, words, documents with both, documents with the string, corrected p, in words."""
_FOLDS = 5


def against(
    corpus: Corpus,
    found: Sequence[Strings],
    contexts: Contexts,
    labels: Sequence[str],
    *,
    share: float,
    level: float,
    seed: int,
) -> list[Flip] | None:
    """Strings that go with a label against the common words; None if fewer than two labels have ten texts each.

    Args:
        corpus: the training texts.
        found: their rare strings, one length after the other.
        contexts: of the same corpus.
        labels: one per text; an empty one is none.
        share: of a string's texts that are expected to have another label, those that must have this one.
        level: of the p-values after correction.
        seed: of the folds.
    """
    from scipy.stats import hypergeom

    names, label = np.unique(np.array(labels), return_inverse=True)
    kinds = [kind for kind in range(len(names)) if names[kind] and (label == kind).sum() >= 2 * _FOLDS]
    if len(kinds) < 2:
        return None
    most = max(int(some.found.documents.max(initial=0)) for some in found)
    expected = _expected(corpus, label, kinds, most, seed)
    candidates: list[Flip] = []
    tests = 0
    for some in found:
        group = np.repeat(np.arange(len(some.found)), np.diff(some.found.bounds))
        cells = np.unique(group.astype(np.int64) * len(corpus) + corpus.document[some.found.places])
        group, document = np.divmod(cells, len(corpus))
        for kind in kinds:
            other = np.isin(label, kinds) & (expected != kind)
            of = np.bincount(group, weights=other[document], minlength=len(some.found))
            both = np.bincount(group, weights=(other & (label == kind))[document], minlength=len(some.found))
            p = hypergeom.sf(both - 1, other.sum(), (other & (label == kind)).sum(), of)
            tests += len(p)
            for which in np.flatnonzero((both >= share * of) & (both >= 3) & (p < level)):
                place = int(some.found.of(int(which))[0])
                what = f"labelled {quoted(str(names[kind]))} against their common words"
                candidates.append((place, some.found.words, int(both[which]), int(of[which]), float(p[which]), what))
    return _corrected(corpus, candidates, contexts, tests, level)


def _corrected(corpus: Corpus, candidates: list[Flip], contexts: Contexts, tests: int, level: float) -> list[Flip]:
    """Those that stay after correction and stand in unrelated texts; of strings from the same place, the shortest."""
    kept: dict[int, Flip] = {}
    for place, words, both, of, p, what in candidates:
        if place in kept or p * tests >= level:
            continue
        places, hashes = corpus.hashes(words)
        documents = np.unique(corpus.document[places[hashes == hashes[np.searchsorted(places, place)]]])
        apart = corpus.ids[place : place + words + 2 * rare.FOLLOWING]
        if contexts.unrelated([documents], [apart])[0]:
            kept[place] = (place, words, both, of, p * tests, what)
    return sorted(kept.values(), key=lambda flip: (-flip[2], flip[0]))


def _expected(corpus: Corpus, label: np.ndarray, kinds: list[int], most: int, seed: int) -> np.ndarray:
    """The label that the words in more than `most` documents speak for; -1 where a text has none of `kinds`."""
    from scipy.sparse import csr_matrix
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.naive_bayes import ComplementNB

    shape = len(corpus), len(corpus.vocabulary)
    cells = np.unique(corpus.document.astype(np.int64) * shape[1] + corpus.ids)
    rows, columns = np.divmod(cells, shape[1])
    table = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    common = np.flatnonzero(np.bincount(columns, minlength=shape[1]) > most)
    expected = np.full(len(corpus), -1)
    asked = np.flatnonzero(np.isin(label, kinds))
    if len(common):
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed % 2**32)
        expected[asked] = cross_val_predict(ComplementNB(), table[asked][:, common], label[asked], cv=folds)
    else:
        expected[asked] = np.bincount(label[asked]).argmax()
    return expected
