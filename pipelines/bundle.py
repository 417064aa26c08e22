"""Stage `bundle`: assemble the release directory from the recipe, the records and the trained model."""

from pipelines.frame import Frame, run
from slipway.records import BundleReport
from slipway.release.bundle.assemble import assemble


def main(frame: Frame) -> BundleReport:
    """Build `bundle/`; the digest of its manifest is what the release signs."""
    report = assemble(frame.root, frame.recipe)
    print(f"bundle {report.bundle_digest}, {report.files} files, {report.bytes:,} bytes", flush=True)
    return report


if __name__ == "__main__":
    run("bundle", main)
