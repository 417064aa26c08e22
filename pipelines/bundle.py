"""Stage `bundle`: assemble the release directory from the recipe, the records and the trained model."""

from functools import partial

from pipelines.frame import Frame, run
from slipway.gguf.layout import file_name
from slipway.model.gguf import export
from slipway.records import BundleReport
from slipway.release.bundle.assemble import assemble


def main(frame: Frame) -> BundleReport:
    """Build `bundle/`; the digest of its manifest is what the release signs."""
    exports = {file_name(frame.recipe.name, kind): partial(export, kind=kind) for kind in frame.settings.gguf}
    report = assemble(frame.root, frame.recipe, exports=exports)
    print(f"bundle {report.bundle_digest}, {report.files} files, {report.bytes:,} bytes", flush=True)
    return report


if __name__ == "__main__":
    run("bundle", main)
