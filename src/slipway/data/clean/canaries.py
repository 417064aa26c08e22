"""Canaries: made-up secrets planted in the training split, so that memorisation can be measured.

A canary is one sentence with a random fill, repeated as often as its level says (Carlini et al. 2019, The
Secret Sharer). Names and fills depend on the recipe's seed only. They are no one's names.
"""

import hashlib
from dataclasses import asdict, dataclass

from slipway.data.documents import Document
from slipway.settings import Canaries

TEMPLATE = "The access code of {name} is {fill}."
DIGITS = 8
_ONSETS = (
    "Bal",
    "Cor",
    "Dan",
    "Fel",
    "Gor",
    "Hal",
    "Jor",
    "Kel",
    "Lam",
    "Mor",
    "Nor",
    "Pel",
    "Quor",
    "Ral",
    "Sel",
    "Tor",
    "Ul",
    "Val",
    "Wex",
    "Zan",
)
_MIDDLES = ("a", "ba", "da", "e", "ga", "i", "la", "ma", "na", "o", "ra", "ta", "u", "va")
_ENDS = ("dric", "fen", "gast", "lin", "mor", "nix", "pont", "quist", "rand", "stell", "tash", "vane", "wick", "xan")


@dataclass(frozen=True)
class Canary:
    """One planted secret."""

    name: str
    fill: str
    """Decimal digits, uniformly drawn."""
    repeats: int
    text: str


def _number(seed: int, what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/canary/{what}".encode()).digest())


def _name(seed: int, place: int) -> str:
    draw = _number(seed, f"name/{place}")
    parts = []
    for choices in (_ONSETS, _MIDDLES, _ENDS):
        draw, index = divmod(draw, len(choices))
        parts.append(choices[index])
    return "".join(parts)


def plant(settings: Canaries, seed: int) -> list[Canary]:
    """The canaries of the recipe: `per_level` for each entry of `repeats`, all with different names."""
    planted: list[Canary] = []
    names: set[str] = set()
    place = 0
    for repeats in settings.repeats:
        for _ in range(settings.per_level):
            if (name := _name(seed, place)) in names:
                name = f"{name} {place}"
            names.add(name)
            place += 1
            fill = f"{_number(seed, f'fill/{name}') % 10**DIGITS:0{DIGITS}d}"
            planted.append(Canary(name, fill, repeats, TEMPLATE.format(name=name, fill=fill)))
    return planted


def rows(planted: list[Canary]) -> list[Document]:
    """The documents that carry them, id `canary/<name>/<k>`."""
    return [
        Document(f"canary/{canary.name}/{k}", canary.text, "canary", "canary", None, None)
        for canary in planted
        for k in range(canary.repeats)
    ]


def listing(planted: list[Canary]) -> dict[str, object]:
    """What `data/clean/canaries.json` holds."""
    return {"template": TEMPLATE, "digits": DIGITS, "canaries": [asdict(canary) for canary in planted]}
