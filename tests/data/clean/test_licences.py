"""The allow-list: AND needs all, OR needs one, WITH must be listed as it stands."""

import pytest

from slipway.data.clean.licences import AllowList, ids
from slipway.errors import UserError


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND 0BSD", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR (MIT AND 0BSD)", True),
        ("(MIT OR GPL-3.0-only) AND MPL-2.0", False),
        ("Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0-only WITH GCC-exception-3.1", True),
        (None, False),
    ],
)
def test_an_expression_passes_if_allowed_ids_can_meet_it(expression, passes):
    allow = AllowList(["mit", "0BSD", "Apache-2.0", "GPL-3.0-only WITH GCC-exception-3.1"])
    assert allow.passes(expression) is passes


@pytest.mark.parametrize("entry", ["MIT OR GPL-3.0-only", "my licence", ""])
def test_entries_must_be_single_ids(entry):
    with pytest.raises(UserError, match="is not one SPDX id"):
        AllowList([entry])


def test_ids_of_an_expression():
    assert ids("MIT AND (0BSD OR MIT)") == ["MIT", "0BSD"]
