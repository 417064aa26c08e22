"""Docstrings of packages: what is a document, and that no altered file is read."""

import dataclasses
import importlib.metadata
from collections import Counter
from pathlib import Path

import pytest

from slipway.data.sources import packages, pydocs
from slipway.data.sources.licences import licence_of, normalised
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.settings import PydocsSource
from slipway.spread import here

MODULE = b'''
"""What the module is for."""
import os
if os:
    def twice(a, *, b: int = 1) -> str:
        """First."""
else:
    def twice():
        """Second."""
class Box(dict, metaclass=type):
    """A box.

    Margin.
        Indented.
    """
    async def get(self, key="x"):
        """Get it."""
        def inner():
            """Nobody's interface."""
    def bare(self): pass
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An installed package `tiny` with one module, on the path."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "__init__.py").write_bytes(MODULE)
    (tmp_path / "tiny" / "broken.py").write_bytes(b'"""Doc."""\nprint "Python 2"\n')
    (tmp_path / "tiny" / "odd.py").write_bytes(b'"""A lone surrogate: \\ud800."""\n')
    info = tmp_path / "tiny-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: tiny\nVersion: 1.2\nLicense-Expression: mit\n")
    _write_record(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def _write_record(root: Path) -> None:
    import base64
    import hashlib

    lines = []
    for path in sorted((root / "tiny").glob("*.py")):
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        lines.append(f"tiny/{path.name},sha256={digest},{path.stat().st_size}")
    (root / "tiny-1.2.dist-info" / "RECORD").write_text("\n".join([*lines, "tiny-1.2.dist-info/RECORD,,"]) + "\n")


def _read(tmp_path: Path, *found: packages.Package) -> tuple[list[dict], Counter[str]]:
    skipped: Counter[str] = Counter()
    source = PydocsSource(kind="pydocs", name="docs", packages=("tiny",))
    (at := tmp_path / "parts").mkdir(exist_ok=True)
    read = pydocs.read(source, found, at, skipped, here)
    return [row for _, batches in read for batch in batches for row in batch.to_pylist()], skipped


def test_documents_carry_id_group_licence_and_signature(package):
    documents, skipped = _read(package, packages.find("tiny", (), "docs"))
    assert [document["id"] for document in documents] == [
        "docs/tiny#tiny",
        "docs/tiny#tiny.twice",
        "docs/tiny#tiny.twice~2",
        "docs/tiny#tiny.Box",
        "docs/tiny#tiny.Box.get",
    ]
    for document in documents:
        assert document["text"].startswith(f"{document['signature']}\n")
        assert (document["source"], document["group"], document["licence"]) == ("docs/tiny", "tiny", "MIT")
    assert +skipped == {"file is not Python of this version": 1, "docstring is not valid Unicode": 1}


def test_a_file_that_two_packages_ship_is_parsed_once_and_belongs_to_both(package, monkeypatch):
    found = packages.find("tiny", ("**/broken.py", "**/odd.py"), "docs")
    parsed = []
    real = pydocs.docstrings
    monkeypatch.setattr(pydocs, "docstrings", lambda data, module: parsed.append(module) or real(data, module))
    documents, _ = _read(package, found, dataclasses.replace(found, name="twin"))
    assert parsed == ["tiny"]
    ids = [document["id"] for document in documents]
    assert ids[:5] == [name.replace("docs/twin#", "docs/tiny#") for name in ids[5:]]
    assert ids[5:] == [name for name in ids if name.startswith("docs/twin#")]


def test_an_altered_or_missing_file_is_refused_by_name(package):
    found = packages.find("tiny", (), "docs")
    (package / "tiny" / "__init__.py").write_bytes(MODULE.replace(b"First", b"Fjrst"))
    with pytest.raises(Refusal, match=r"tiny/__init__\.py: sha256 is .*RECORD of tiny 1\.2 says"):
        _read(package, found)
    (package / "tiny" / "__init__.py").unlink()
    with pytest.raises(Refusal, match=r"tiny/__init__\.py: missing"):
        _read(package, found)


def test_digest_covers_used_files_only(package):
    everything = packages.find("tiny", (), "docs")
    fewer = packages.find("tiny", ("**/broken.py", "**/odd.py"), "docs")
    assert set(fewer.files) == {"tiny/__init__.py"}
    assert fewer.files["tiny/__init__.py"] == sha256_bytes(MODULE)
    assert fewer.digest != everything.digest


def test_packages_that_cannot_be_checked_are_errors(package):
    with pytest.raises(UserError, match="package `no-such-package` is not installed"):
        packages.find("no-such-package", (), "docs")
    with pytest.raises(UserError, match="no Python file left"):
        packages.find("tiny", ("*",), "docs")
    (package / "tiny-1.2.dist-info" / "RECORD").write_text("tiny/__init__.py,md5=abc,1\n")
    with pytest.raises(Refusal, match=r"tiny/__init__\.py: RECORD of tiny gives no sha256"):
        packages.find("tiny", (), "docs")
    (package / "tiny-1.2.dist-info" / "RECORD").unlink()
    with pytest.raises(UserError, match="no RECORD"):
        packages.find("tiny", (), "docs")


@pytest.mark.parametrize(
    ("headers", "expression"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0"),
        ("License-Expression: Nonsense-9\n", None),
        ("License: MPL-2.0 AND MIT\n", "MPL-2.0 AND MIT"),
        ("License: see file\nClassifier: License :: OSI Approved :: MIT License\n", "MIT"),
        ("Classifier: License :: OSI Approved :: BSD License\n", None),
        ("Classifier: License :: OSI Approved :: BSD License\nLicense-File: LICENSE\n", "BSD-3-Clause"),
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: BSD License\n",
            None,
        ),
        ("", None),
    ],
)
def test_licences_are_what_the_package_states_or_unknown(package, headers, expression):
    info = package / "tiny-1.2.dist-info"
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: tiny\nVersion: 1.2\n{headers}")
    (info / "licenses").mkdir()
    (info / "licenses" / "LICENSE").write_text(
        "Redistributions of source code must …\nRedistributions in\n binary form must …\nNeither the name of …\n"
    )
    licence = licence_of(packages.find("tiny", (), "docs"))
    assert licence.expression == expression
    assert licence.evidence


def test_licences_of_real_packages():
    assert licence_of(packages.find("scipy", ("**/tests/**",), "docs")).expression == "BSD-3-Clause"
    assert licence_of(packages.find("mlflow", (), "docs")).expression == "Apache-2.0"
    assert licence_of(packages.find("matplotlib", (), "docs")).expression is None
    assert normalised("  ") is None
    assert normalised("MIT AND ()") is None


def test_no_package_code_is_imported(package):
    import sys

    _read(package, packages.find("tiny", (), "docs"))
    assert "tiny" not in sys.modules
    assert importlib.metadata.version("tiny") == "1.2"


def test_a_package_named_twice_is_an_error_however_it_is_spelt():
    with pytest.raises(UserError, match="source docs: the package `my-tqdm` is named twice"):
        pydocs.packages(PydocsSource(kind="pydocs", name="docs", packages=("my-tqdm", "My_tqdm")))
