"""Withdrawing a release as a flow, for the button of a Prefect server; `slipway yank` does the same without one."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from flows import events, watching
from flows.yank_console import split, summary
from slipway.errors import Refusal


@flow(name="yank")
def yank(release: str, reason: str, severity: watching.Severity | None = None, advisory: str | None = None) -> str:
    """Withdraw NAME@VERSION: tombstone, channels, advisory, MLflow; the event `slipway.yanked` tells of it.

    Args:
        release: NAME@VERSION.
        reason: for those who use it.
        severity: of the fault.
        advisory: what else describes the fault, a URL or an id.

    Raises:
        UserError: if there is no such release.
        Refusal: if a part of it was not done; run it again.
    """
    name, version = split(release)
    logger = get_run_logger()
    told = watching.withdraw(Path.cwd(), name, version, watching.Cause(reason, severity, advisory), logger.info)
    emit_event(**events.of_withdrawal(release, told)._asdict())
    text = summary(told)
    print(text, flush=True)
    logger.info(text)
    create_markdown_artifact(key="yank", markdown=f"```\n{text}\n```")
    if told.undone:
        raise Refusal(f"yank: a part of it was not done; run it again\n{text}")
    return text
