"""10,000 mutated files through every parser of scan, release and import: no crash, no hang, no traceback."""

import warnings

from tests import mutations
from tests.release.conftest import site  # noqa: F401  the fixture


def test_no_mutated_file_crashes_or_hangs_a_parser(site, tmp_path):  # noqa: F811
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        targets = [
            *mutations.scan_targets(tmp_path / "scan"),
            *mutations.release_targets(site),
            *mutations.foreign_targets(tmp_path),
        ]
        outcomes, crashes = mutations.run(targets, 10_000, seed=6)
    assert not crashes, "\n".join(f"{crash.name} #{crash.number}\n{crash.trace}" for crash in crashes[:5])
    assert outcomes["found"] > 2500, outcomes
    assert outcomes["refused"] > 1000, outcomes
    assert outcomes["passed"] > 500, outcomes
