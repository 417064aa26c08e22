"""Which licences are open, and for what: code and documents, or data.

Two lists of SPDX ids: licences that the Open Source Initiative has approved (the SPDX License List marks them;
https://opensource.org/licenses), and licences that the Model Openness Tool, which its framework's authors wrote, takes
for open data licences (https://github.com/lfai/model_openness_tool). An id on neither is not known to be open, which is
not the same as being closed. PSF-2.0 is the licence within Python-2.0, which is approved.
"""

from license_expression import ExpressionError

from slipway.release.bundle.licence import licensing

_APPROVED = """
0BSD AAL AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later APL-1.0 APSL-1.0 APSL-1.1
APSL-1.2 APSL-2.0 Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-1.0-Perl Artistic-1.0-cl8 Artistic-2.0
BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-LBNL BSL-1.0 BlueOak-1.0.0 CAL-1.0
CAL-1.0-Combined-Work-Exception CATOSL-1.1 CDDL-1.0 CECILL-2.1 CERN-OHL-P-2.0 CERN-OHL-S-2.0 CERN-OHL-W-2.0
CNRI-Python CPAL-1.0 CPL-1.0 CUA-OPL-1.0 ECL-1.0 ECL-2.0 EFL-1.0 EFL-2.0 EPL-1.0 EPL-2.0 EUDatagrid EUPL-1.1
EUPL-1.2 Entessa Fair Frameworx-1.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ICU IPA
IPL-1.0 ISC Intel Jam LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later
LPL-1.0 LPL-1.02 LPPL-1.3c LiLiQ-P-1.1 LiLiQ-R-1.1 LiLiQ-Rplus-1.1 MIT MIT-0 MIT-Modern-Variant MPL-1.0
MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception MS-PL MS-RL MirOS Motosoto MulanPSL-2.0 Multics NASA-1.3 NCSA NGPL
NPOSL-3.0 NTP Naumen Nokia OCLC-2.0 OFL-1.1 OFL-1.1-RFN OFL-1.1-no-RFN OGTSL OLDAP-2.8 OLFL-1.3 OSET-PL-2.1
OSL-1.0 OSL-2.0 OSL-2.1 OSL-3.0 PHP-3.0 PHP-3.01 PostgreSQL Python-2.0 QPL-1.0 RPL-1.1 RPL-1.5 RPSL-1.0 RSCPL
SISSL SPL-1.0 SimPL-2.0 Sleepycat UCL-1.0 UPL-1.0 Unicode-3.0 Unicode-DFS-2016 Unlicense VSL-1.0 W3C Watcom-1.0
Xnet ZPL-2.0 ZPL-2.1 Zlib wxWindows
PSF-2.0
"""
APPROVED = frozenset(_APPROVED.split())
"""Approved by the Open Source Initiative."""
_DATA = """
CC0-1.0 CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-1.0 CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0
CC-BY-SA-4.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 CDLA-Sharing-1.0 PDDL-1.0 ODC-By-1.0 ODbL-1.0 GFDL-1.3-only
GFDL-1.3-or-later OGL-Canada-2.0 OGL-UK-2.0 OGL-UK-3.0
"""
DATA = frozenset(_DATA.split())
"""Open licences for data."""
ANY = frozenset({"OpenMDW-1.0"})
"""Made for models and everything that comes with them."""


def is_open(expression: str | None, *, approved: bool = False) -> bool:
    """Whether an SPDX expression grants an open licence: of `A AND B` both must be open, of `A OR B` one.

    Args:
        expression: None if none is stated, which is not open.
        approved: only what the Open Source Initiative approved, or was made for models, counts; not data licences.
    """
    known = APPROVED | ANY if approved else APPROVED | DATA | ANY
    return expression is not None and _open(expression, known)


def _open(expression: str, known: frozenset[str]) -> bool:
    index = licensing()
    try:
        parsed = index.parse(expression)
    except (ExpressionError, IndexError):  # the latter for empty parentheses
        return False

    def holds(node: object) -> bool:
        if isinstance(node, index.AND):
            return all(map(holds, node.args))
        if isinstance(node, index.OR):
            return any(map(holds, node.args))
        # An exception only ever grants more than its licence.
        return str(getattr(node, "license_symbol", node)) in known

    return parsed is not None and holds(parsed)
