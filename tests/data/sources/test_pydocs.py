"""Docstrings of packages: what is a document, and that no altered file is read."""

import importlib.metadata
from collections import Counter
from pathlib import Path

import pytest

from slipway.data.sources import packages, pydocs
from slipway.data.sources.licences import licence_of, normalised
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes

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


def test_documents_are_modules_classes_functions_with_signatures():
    found = pydocs.docstrings(MODULE, "pkg.mod")
    assert found == [
        ("pkg.mod", "module pkg.mod", "What the module is for."),
        ("pkg.mod.twice", "def pkg.mod.twice(a, *, b: int=1) -> str", "First."),
        ("pkg.mod.twice", "def pkg.mod.twice()", "Second."),
        ("pkg.mod.Box", "class pkg.mod.Box(dict, metaclass=type)", "A box.\n\nMargin.\n    Indented."),
        ("pkg.mod.Box.get", "async def pkg.mod.Box.get(self, key='x')", "Get it."),
    ]


def test_a_very_long_elif_chain_is_no_recursion_error():
    source = "if x == 0: pass\n" + "".join(f"elif x == {n}: pass\n" for n in range(1500)) + 'def f():\n    """Doc."""\n'
    assert pydocs.docstrings(source.encode(), "m")[-1] == ("m.f", "def m.f()", "Doc.")


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


def _read(found: packages.Package) -> tuple[list, Counter[str]]:
    from slipway.settings import PydocsSource

    skipped: Counter[str] = Counter()
    source = PydocsSource(kind="pydocs", name="docs", packages=("tiny",))
    return [document for document, _ in pydocs.read(source, found, pydocs.Parsed([found]), skipped)], skipped


def test_documents_carry_id_group_licence_and_signature(package):
    documents, skipped = _read(packages.find("tiny", (), "docs"))
    assert [document.id for document in documents] == [
        "docs/tiny#tiny",
        "docs/tiny#tiny.twice",
        "docs/tiny#tiny.twice~2",
        "docs/tiny#tiny.Box",
        "docs/tiny#tiny.Box.get",
    ]
    for document in documents:
        assert document.text.startswith(f"{document.signature}\n")
        assert (document.source, document.group, document.licence) == ("docs/tiny", "tiny", "MIT")
    assert skipped == {"file is not Python of this version": 1, "docstring is not valid Unicode": 1}


def test_an_altered_or_missing_file_is_refused_by_name(package):
    found = packages.find("tiny", (), "docs")
    (package / "tiny" / "__init__.py").write_bytes(MODULE.replace(b"First", b"Fjrst"))
    with pytest.raises(Refusal, match=r"tiny/__init__\.py: sha256 is .*RECORD of tiny 1\.2 says"):
        _read(found)
    (package / "tiny" / "__init__.py").unlink()
    with pytest.raises(Refusal, match=r"tiny/__init__\.py: missing"):
        _read(found)


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


def test_no_package_code_is_imported(package):
    import sys

    _read(packages.find("tiny", (), "docs"))
    assert "tiny" not in sys.modules
    assert importlib.metadata.version("tiny") == "1.2"
