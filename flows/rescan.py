"""The nightly look at what is published: verify the channel's release and scan it with today's rules."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows import watching
from slipway.errors import UserError


@flow(name="rescan")
def rescan() -> str:
    """Fetch the channel's release, check signature and every byte, scan it; the result is an artifact of the run.

    Raises:
        Refusal: naming the file that changed since it was published, or what today's rules find.
    """
    try:
        found = watching.rescan(Path.cwd())
    except UserError as error:
        create_markdown_artifact(key="rescan", markdown=f"**REFUSED**\n\n```\n{error}\n```")
        raise
    if found is None:
        text = "nothing was released on this channel yet"
    else:
        release = found["release"]
        counts = f"{found['files']} files as signed, {found['files_scanned']} scanned"
        text = f"{release['name']} {release['version']}: {counts}"
    print(f"rescan: {text}", flush=True)
    get_run_logger().info(text)
    create_markdown_artifact(key="rescan", markdown=text)
    return text


if __name__ == "__main__":
    rescan()
