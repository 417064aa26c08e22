"""How well is held-out text predicted, whole documents of every source?"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from slipway.evaluation.baselines import baselines
from slipway.evaluation.tasks.likelihood import Likelihoods, Stretch
from slipway.evaluation.tasks.task import Facts, Material, Say, Task
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

NAME = "bits_per_byte"


def make(scorer: "Scorer", material: Material) -> Likelihoods:
    """Every test document in windows of the model's context, as far apart as `evaluate.stride` says."""
    stride, texts = material.settings.stride, [document.text for document in material.test]
    stretches = [
        Stretch(document.id, document.family, (), tuple(tokens), len(document.text.encode()))
        for document, tokens in zip(material.test, scorer.encode(texts), strict=True)
    ]

    def nats(asked: "Scorer", some: Sequence[Stretch], say: Say) -> np.ndarray:
        return asked.documents([one.tokens for one in some], stride, lambda done, total: say(done, total, NAME))

    # Compressors leave Python's lock alone, so they work while the model scores.
    families = [document.family for document in material.test]
    seed = derived(material.seed, "baselines")
    beside = ThreadPoolExecutor(1)
    found = beside.submit(baselines, material.train, texts, families, material.settings.bootstrap, seed)
    beside.shutdown(wait=False)
    groups = {document.id: document.source for document in material.test}
    facts = Facts(NAME, {"stride": stride}, material.test_sha256, groups=groups)
    return Likelihoods(facts, {"template": stretches}, nats, found.result)


TASK = Task(
    name=NAME,
    version=1,
    definition=(
        "Bits that the model needs for held-out documents, the end-of-text token after each included, over their UTF-8 "
        "bytes. Long documents are read in windows that overlap."
    ),
    template="{end of text}{document}{end of text}",
    make=make,
)
