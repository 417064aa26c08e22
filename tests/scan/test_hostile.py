"""The hostile corpus: each case is refused, under the rule that names the true reason, and nothing runs."""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import pytest

from slipway.scan.verdict import scan
from tests.scan.corpus import CARD, header, tensor
from tests.scan.corpus.documents import SECRETS
from tests.scan.corpus.hostile import corpus

LIMIT = 128 << 20
MARK = Path(tempfile.gettempdir()) / f"slipway-payload-{os.getpid()}"
ROOT = Path(__file__).parents[2]
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # zipfile warns of the member that stands there twice, on purpose
    CASES = corpus(MARK)
BY_CATEGORY = defaultdict(list)
for _case in CASES:
    BY_CATEGORY[_case.category].append(_case)
GOOD, DATA = {"a": tensor()}, b"\0\0\x80\x3f"


@pytest.mark.parametrize("category", sorted(BY_CATEGORY))
def test_every_case_is_refused_for_its_reason(category, tmp_path):
    wrong = []
    for number, case in enumerate(BY_CATEGORY[category]):
        directory = tmp_path / str(number)
        directory.mkdir()
        report = scan(case.write(directory), LIMIT)
        rules = {finding.rule for finding in report.findings}
        named = not case.rules or any(rule.startswith(case.rules) for rule in rules)
        if report.passed or not named or "scan.incomplete" in rules:
            wrong.append((case.id, case.rules, sorted(rules)))
        for finding in report.findings:
            assert finding.remedy, finding
            assert (finding.path + finding.reason).isprintable(), finding
    assert not wrong
    assert not MARK.exists()


def test_the_corpus_is_large_enough():
    assert len(CASES) >= 250
    assert len(BY_CATEGORY) >= 25


@pytest.mark.timeout(120)
def test_one_of_each_category_through_the_command(tmp_path):
    paths = {}
    for number, cases in enumerate(BY_CATEGORY.values()):
        directory = tmp_path / f"{number:02}"
        directory.mkdir()
        paths[str(cases[0].write(directory))] = cases[0]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from slipway.cli import main; sys.exit(main())",
            "scan",
            *paths,
            "--json",
            str(tmp_path / "out.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=110,
    )
    assert done.returncode == 1, done.stderr[-2000:]
    passed = [case.id for path, case in paths.items() if f"{path}: PASS" in done.stdout]
    assert not passed
    assert done.stdout.count(": REFUSE") == len(paths)
    assert str(next(iter(paths))) in json.dumps(json.loads((tmp_path / "out.json").read_text()))
    assert not MARK.exists()


@pytest.mark.timeout(20)
def test_a_long_card_takes_no_more_than_its_length_allows(bare):
    """A search for addresses that took time by the square of its length would need hours."""
    (bare / "README.md").write_text(CARD + "\n" + "a." * 400_000 + "a@" + "a." * 50_000)
    assert scan(bare, LIMIT).passed


def test_a_secret_is_not_shown_again(bare):
    (bare / "NOTICE").write_text(f"key {SECRETS['GitHub token']}")
    report = scan(bare, LIMIT)
    assert "ghp_" in report.to_json()
    assert SECRETS["GitHub token"][:8] not in report.to_json()


def test_a_link_is_not_followed(bare, tmp_path):
    (bare / "LICENSE").unlink()
    (tmp_path / "elsewhere").write_text("x")
    (bare / "LICENSE").symlink_to(tmp_path / "elsewhere")
    assert [finding.rule for finding in scan(bare, LIMIT).findings] == ["file.symlink"]


def test_a_bundle_that_is_a_link_is_refused(bare, tmp_path):
    (tmp_path / "link").symlink_to(bare)
    assert "file.symlink" in {finding.rule for finding in scan(tmp_path / "link", LIMIT).findings}


def test_what_a_store_keeps_once_for_two_releases_is_no_fault(bare, tmp_path):
    os.link(bare / "LICENSE", tmp_path / "other-name")
    assert scan(bare, LIMIT, shared=True).passed


def test_too_large_for_the_recipe(bare):
    (bare / "NOTICE").write_bytes(b"a" * (LIMIT // 64 + 1))
    assert "file.size" in {finding.rule for finding in scan(bare, LIMIT // 64).findings}


def test_the_longest_name_a_file_system_takes_is_no_fault(bare):
    (bare / ("a" * 243 + ".safetensors")).write_bytes(header(GOOD, DATA))
    assert scan(bare, LIMIT).passed
