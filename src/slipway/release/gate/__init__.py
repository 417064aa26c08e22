"""The gate: may this bundle be released? GO, NO-GO or INCONCLUSIVE, each line with a reason and a way out.

`judge` puts together what is asked of every bundle (`built_in`), known vulnerabilities (`auditing`), the recipe's
checks (`checks`), comparisons with base and champion (`comparing`), and the waivers in force (`waivers`). A missing
report or value is NO-GO; what was not measured, or cannot be compared, is INCONCLUSIVE; only GO goes on. `explain` is
for a terminal, `policy` for documents.

>>> verdict = judge(recipe, root, scanned, champion.read(store, "pydocs", "stable", public), today=today)
>>> print(explain(verdict))
gate: GO for bundle 5d0c… (every line that must hold holds)
"""

from slipway.release.gate.auditing import warning
from slipway.release.gate.champion import Champion
from slipway.release.gate.explaining import explain
from slipway.release.gate.judging import judge, overall, policy

__all__ = ["Champion", "explain", "judge", "overall", "policy", "warning"]
