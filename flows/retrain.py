"""Build and release in one flow, for a schedule: what changed is rebuilt, and released if the gate says GO.

With nothing stale and nothing new to release it ends as fast as it began.
"""

from prefect import flow

from flows.build import build
from flows.release import release


@flow(name="retrain")
def retrain() -> None:
    """Bring the bundle up to date, then release it; a failed build releases nothing."""
    build()
    release()
