"""The nightly look at what is published, as a flow; the same without Prefect is `slipway rescan`."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from flows import events, watching
from flows.rescan_console import text
from slipway.errors import Refusal, UserError


@flow(name="rescan")
def rescan(everything: bool = False) -> str:
    """Verify, scan and audit what the channels name; each change for the worse is an event, and fails the run.

    Args:
        everything: every name in the store, not only the recipe's.

    Raises:
        Refusal: if something is new or broken, or the webhook could not be told.
    """
    try:
        night = watching.rescan(Path.cwd(), everything=everything)
    except UserError as error:
        create_markdown_artifact(key="rescan", markdown=f"**NOT DONE**\n\n```\n{error}\n```")
        raise
    for event in events.of_night(night):
        emit_event(**event._asdict())
    told = text(night)
    print(told, flush=True)
    create_markdown_artifact(key="rescan", markdown=told)
    get_run_logger().info(told)
    if night.failed:
        raise Refusal(f"rescan: {len(night.new)} new, {len(night.standing)} still open\n{told}")
    return told


if __name__ == "__main__":
    rescan()
