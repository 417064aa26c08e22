"""What was planted must be found: contaminations, personal data, secrets, a licence; and clean text left in peace.

Every figure is printed (`pytest -s`) and asserted. Clean text is the docstrings of installed packages, read with `ast`.
"""

import ast
import importlib.util
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from slipway.data.clean.licences import obligations
from slipway.data.clean.pii import scrub_all
from slipway.errors import Refusal
from slipway.patterns import KINDS, find, suspects
from slipway.settings import Decontaminate
from tests.data.clean.corpora import Sought
from tests.planted import PERSONAL, SECRETS

PACKAGES = ("numpy", "scipy", "pandas")
REACH = 0.95
EACH, PARAPHRASED = 250, 200
REDACT = dict.fromkeys(KINDS, "redact")


def docstrings(package: str) -> list[str]:
    """Docstrings of at least 40 characters of every third module."""
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.submodule_search_locations
    found = []
    for path in sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))[::3]:
        nodes = ast.walk(ast.parse(path.read_text("utf-8", "replace")))
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef
        found += [text for node in nodes if isinstance(node, kinds) and (text := ast.get_docstring(node))]
    return [text for text in found if len(text) >= 40]


@pytest.fixture(scope="module")
def clean() -> list[str]:
    return list(dict.fromkeys(text for package in PACKAGES for text in docstrings(package)))


@pytest.fixture(scope="module")
def passages(clean: list[str]) -> list[str]:
    """Different runs of 20 to 120 words, none of which shares thirteen words with another."""
    rng = random.Random(1)
    found, known = [], set()
    for text in rng.sample(clean, len(clean)):
        parts = text.split()
        if len(parts) >= 20:
            some = parts[: rng.randrange(20, 121)]
            plain = re.findall(r"\w+", " ".join(some).lower())
            runs = {tuple(plain[i : i + 13]) for i in range(len(plain) - 12)}
            if len(runs) >= 8 and not runs & known:
                known |= runs
                found.append(" ".join(some))
    return found


def shouted(rng: random.Random, text: str) -> str:
    """Other case, other punctuation, other white space."""
    marks = [", ", "; ", "  ", " - ", "\n", " (", ") ", ". "]
    parts = re.findall(r"\w+", text)
    return "".join(rng.choice([str.upper, str.lower, str.title])(part) + rng.choice(marks) for part in parts)


def with_gaps(rng: random.Random, text: str) -> str:
    """Every tenth word or so left out."""
    return " ".join(part for part in text.split() if rng.random() > 0.1)


def test_contaminations(passages, tmp_path):
    rng = random.Random(2)
    wanted, others = passages[: 4 * EACH], passages[4 * EACH :]
    assert len(wanted) == 1000
    assert len(others) >= 500
    around = [" ".join(rng.choices(others, k=4)) for _ in range(EACH)]
    planted = {
        "verbatim": wanted[:EACH],
        "case and punctuation": [shouted(rng, text) for text in wanted[EACH : 2 * EACH]],
        "embedded": [f"{some}\n{text}\n{some}" for some, text in zip(around, wanted[2 * EACH : 3 * EACH], strict=True)],
        "embedded and changed": [
            f"{some} {shouted(rng, text)} {some}" for some, text in zip(around, wanted[3 * EACH :], strict=True)
        ],
    }
    items = Sought(tmp_path, [("set", str(n), text) for n, text in enumerate(wanted)], Decontaminate())
    for number, (name, documents) in enumerate(planted.items()):
        found = {(document, item) for document, item, _ in items.hits(documents)}
        recall = sum((n, f"set/{number * EACH + n}") in found for n in range(EACH)) / EACH
        print(f"contamination, {name}: {recall:.3f} of {EACH} found, {len(found) - recall * EACH:.0f} others")
        assert recall >= REACH
        assert len(found) <= EACH * 1.01
    loose = {hit[0] for hit in items.hits([with_gaps(rng, text) for text in wanted[:PARAPHRASED]])}
    print(f"contamination, a tenth of the words left out (not promised): {len(loose) / PARAPHRASED:.3f}")
    false = items.hits(others)
    print(f"contamination, false alarms: {len(false)} in {len(others)} other passages")
    assert len(false) <= 0.001 * len(others)


def planted_in(rng: random.Random, clean: list[str], values: list[str]) -> list[str]:
    """Each value between two sentences of clean text that hold nothing themselves."""
    suspected = set(suspects(clean))
    plain = [text for place, text in enumerate(clean) if place not in suspected and '"' not in text]
    frames = ["{} {} {}", "{}\n{}\n{}", "{}: {}. {}", "{} ({}) {}", "{} <{}>, {}"]
    return [rng.choice(frames).format(rng.choice(plain)[:200], value, rng.choice(plain)[:200]) for value in values]


def test_personal_data(clean):
    rng = random.Random(3)
    kinds = [kind for kind in PERSONAL for _ in range(84)][:500]
    values = [PERSONAL[kind](rng) for kind in kinds]
    found = scrub_all(planted_in(rng, clean, values), REDACT)
    told, gone, rows = Counter[str](), Counter[str](), Counter(kinds)
    for place, (kind, value) in enumerate(zip(kinds, values, strict=True)):
        bare = value.removeprefix("Tel. ")
        told[kind] += place in found and found[place].redacted == {kind: 1}
        gone[kind] += place in found and bare not in found[place].text
    for kind in PERSONAL:
        print(f"personal data, {kind}: {told[kind]} of {rows[kind]} told by kind, {gone[kind]} redacted")
        assert told[kind] >= REACH * rows[kind]
        assert gone[kind] >= REACH * rows[kind]


def test_secrets(clean):
    rng = random.Random(4)
    for name, make in SECRETS.items():
        values = [make(rng) for _ in range(50)]
        found = scrub_all(planted_in(rng, clean, values), REDACT)
        held = sum(
            place in found
            and set(found[place].redacted) == {"secret"}
            and value.split(" = ")[-1].strip('"') not in found[place].text
            for place, value in enumerate(values)
        )
        print(f"secrets, {name}: {held} of 50")
        assert held >= REACH * 50


def test_clean_text_raises_few_alarms(clean):
    alarms = Counter(kind for kind, _ in ((one.kind, text) for text in clean for one in find(text)))
    characters = sum(map(len, clean))
    print(f"alarms in {len(clean)} clean docstrings, {characters / 1e6:.1f} million characters: {dict(alarms)}")
    # The e-mail addresses are those of authors, and true.
    assert sum(count for kind, count in alarms.items() if kind != "email") <= 2
    assert alarms["email"] <= 30


def test_a_non_commercial_source_in_an_apache_release():
    with pytest.raises(Refusal, match=r"hobby \(12 documents under CC-BY-NC-4.0; .*no commercial use") as refusal:
        obligations({("pydocs/numpy", "BSD-3-Clause"): 900, ("hobby", "CC-BY-NC-4.0"): 12}, "Apache-2.0")
    print(f"licence: {refusal.value}")
    assert "pydocs" not in str(refusal.value)
