"""The audit: has the software behind a release known vulnerabilities, by a dated local snapshot of advisories?

It looks up exactly the packages of a release's bill of materials, not those that happen to be installed. Advisories are
in OSV format (https://ossf.github.io/osv-schema/), as https://osv.dev publishes them for PyPI in one zip. Nothing is
downloaded. What could not be looked up is never clean: an empty or unreadable database, no package, a version that
cannot be compared, and a database whose newest entry is too old all have a status of their own.

>>> report = examine(bom, Path(".slipway/advisories"), date.today(), 30)
>>> report.status
'clean'
"""

from slipway.release.audit.bundle import of_bundle, read_bom
from slipway.release.audit.examining import examine
from slipway.release.audit.telling import headline, table

__all__ = ["examine", "headline", "of_bundle", "read_bom", "table"]
