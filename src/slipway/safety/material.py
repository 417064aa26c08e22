"""What the probes look at besides the model: the splits of `data/clean` without canaries, and what was planted."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipway import shards
from slipway.chat import ROLES
from slipway.errors import UserError
from slipway.safety.canary_exposure import Canary

if TYPE_CHECKING:
    import pyarrow as pa

Turns = Sequence[tuple[str, str]]
_COLUMNS = ("text", "source", "family", "label", "shape", "turns")


@dataclass(frozen=True, slots=True)
class Split:
    """Documents of one split; all lists are of one length, but for `openings`."""

    texts: Sequence[str]
    sources: Sequence[str]
    families: Sequence[str]
    """Documents of one family resemble each other."""
    labels: Sequence[str] | None
    """Empty where a document has none; None if no document has one."""
    openings: Sequence[Turns]
    """What is said before the assistant's first answer, of every conversation."""

    @property
    def sourced(self) -> list[tuple[str, str]]:
        """Source and text of each document."""
        return list(zip(self.sources, self.texts, strict=True))


@dataclass(frozen=True, slots=True)
class Material:
    """What the probes look at."""

    train: Split
    held_out: Split
    template: str
    digits: int
    canaries: Sequence[Canary]


def read(clean: Path) -> Material:
    """Read `data/clean`: the splits without canaries, and what was planted.

    Raises:
        UserError: if `canaries.json` is missing or not what `prepare` writes.
    """
    path = clean / "canaries.json"
    try:
        planted = json.loads(path.read_text("utf-8"))
        canaries = [Canary(one["name"], one["fill"], one["repeats"]) for one in planted["canaries"]]
        template, digits = planted["template"], planted["digits"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}); rebuild with `slipway build --force prepare`") from None
    return Material(_split(clean, "train", talk=False), _split(clean, "test", talk=True), template, digits, canaries)


def _split(clean: Path, name: str, *, talk: bool) -> Split:
    import pyarrow.compute as pc

    texts: list[str] = []
    sources: list[str] = []
    families: list[str] = []
    labels: list[str] = []
    openings: list[Turns] = []
    for batch in shards.batches(clean, name, columns=_COLUMNS):
        kept = batch.filter(pc.not_equal(batch["source"], "canary"))
        texts += kept["text"].to_pylist()
        sources += kept["source"].to_pylist()
        families += kept["family"].to_pylist()
        labels += kept["label"].fill_null("").to_pylist()
        if talk:
            openings += _openings(kept)
    return Split(texts, sources, families, labels if any(labels) else None, openings)


def _openings(batch: "pa.RecordBatch") -> Iterator[Turns]:
    for shape, turns in zip(batch["shape"].to_pylist(), batch["turns"].to_pylist(), strict=True):
        if shape in ("chat", "preference") and turns:
            said = [(str(role), str(content)) for role, content in json.loads(turns)]
            first = next((place for place, (role, _) in enumerate(said) if role in ("assistant", "chosen")), 0)
            if first and said[first - 1][0] in ROLES:
                yield said[:first]
