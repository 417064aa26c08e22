"""Changes files as nobody would, gives them to a parser, and says whether it judged, refused, or crashed."""

import json
import random
import signal
import struct
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from slipway.errors import Refusal, UserError

SECONDS = 10
"""A parser that needs longer for a file of some kB hangs."""
ODD = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    1e308,
    1e-320,
    "",
    "a" * 5000,
    "\ud800",
    "\x00",
    "\u202e",
    "../x",
    "https://e.example",
    [],
    {},
    [[]] * 40,
    {"a": {"b": {"c": [1, {"d": None}]}}},
    "{{ x }}",
    "1",
    0.5,
    [None] * 300,
    {"": ""},
    "org/repo--a.B",
)


class Hang(BaseException):
    """Not an Exception, so that no parser takes it for a fault of the file."""


@dataclass(frozen=True)
class Target:
    """A parser, and a file that it takes."""

    name: str
    content: bytes
    parse: Callable[[bytes], object]
    weight: int = 10
    """How often it is chosen, against the others."""


@dataclass(frozen=True)
class Crash:
    """A mutated file that was neither judged nor refused."""

    name: str
    number: int
    trace: str


def _edit(rng: random.Random, value: Any) -> Any:
    """A JSON value with one node replaced, removed, repeated or put elsewhere."""
    value = json.loads(json.dumps(value))
    here = value
    while isinstance(here, dict | list) and here:
        key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        if not isinstance(here[key], dict | list) or not here[key] or rng.random() < 0.35:
            match rng.randrange(5):
                case 0:
                    del here[key]
                case 1 if isinstance(here, dict):
                    here[str(rng.choice(ODD))] = here.pop(key)
                case 2 if isinstance(here, list):
                    here.insert(key, here[key])
                case _:
                    here[key] = rng.choice(ODD)
            return value
        here = here[key]
    return rng.choice(ODD)


def mutate(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """`content` with one to three changes."""
    with suppress(ValueError):
        if content[:1] in b"{[" and rng.random() < 0.6:
            text = json.dumps(_edit(rng, json.loads(content)), ensure_ascii=rng.random() < 0.9)
            return text.encode("utf-8", "surrogatepass")
    raw = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(raw) + 1)
        span = rng.choice((1, 2, 4, 8, 64, 500))
        match rng.randrange(8):
            case 0:
                for _ in range(rng.randint(1, 8)):
                    if raw:
                        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            case 1:
                del raw[at:]
            case 2:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                raw[at : at + rng.choice((0, span))] = other[start : start + span * 4]
            case 3:
                raw[at:at] = raw[at : at + span] * rng.choice((2, 30, 400))
            case 4:
                raw[at : at + span] = rng.randbytes(span)
            case 5:
                raw[at : at + span] = bytes(min(span, len(raw) - at))
            case 6:
                del raw[at : at + span]
            case _:
                numbers = (
                    struct.pack("<Q", rng.choice((2**63, 2**64 - 1, 2**31, 0))),
                    b"\xff" * span,
                    b"\x80" * 10,
                    "é\u2028".encode(),
                )
                raw[at : at + 8] = rng.choice(numbers)
    return bytes(raw)


@contextmanager
def _watched() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Hang(f"longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(targets: list[Target], count: int, seed: int) -> tuple[dict[str, int], list[Crash]]:
    """`count` mutated files: (outcome -> how many, what was neither)."""
    rng = random.Random(seed)
    contents = [target.content for target in targets]
    outcomes = {"passed": 0, "found": 0, "refused": 0}
    crashes: list[Crash] = []
    for number, target in enumerate(rng.choices(targets, [target.weight for target in targets], k=count)):
        content = mutate(rng, target.content, contents)
        try:
            with _watched():
                found = target.parse(content)
            outcomes["found" if isinstance(found, list) and found else "passed"] += 1
        except (Refusal, UserError):
            outcomes["refused"] += 1
        except (Exception, Hang):  # noqa: BLE001  that is what is looked for
            crashes.append(Crash(target.name, number, traceback.format_exc(limit=-4)))
    return outcomes, crashes
