"""The claims of a release: the lines of the gate's policy that its own reports decide, beside their bounds.

A bundle is assembled before it is scanned, approved and compared with the release before it, so its documents show
what its reports say of the policy. The verdict is given later, on exactly these bytes.
"""

from functools import lru_cache

from slipway import items
from slipway.records import GateLine
from slipway.release.bundle.material import Material
from slipway.release.gate import policy


@lru_cache(maxsize=2)
def lines(material: Material) -> tuple[GateLine, ...]:
    """The policy, line by line, as far as reports and item table decide it; raises OSError without the table."""
    import pyarrow.parquet as pq

    reports = {stage: record.result for stage, record in material.records.items()}
    table = pq.read_table(material.root / "reports" / items.NAME)
    return tuple(policy(material.recipe, reports, table))
