"""prepare: raw documents into clean, deduplicated, leak-free splits; rejects are kept with a reason."""

from pipelines.frame import Frame, run
from slipway.data.clean import prepare
from slipway.records import PrepareReport


def main(frame: Frame) -> PrepareReport:
    """Clean, split, and say what became of every document."""
    report = prepare(frame.settings, frame.recipe.seed, frame.root, frame.progress)
    kept = ", ".join(f"{name} {count:,}" for name, count in report.splits.items())
    print(f"{report.documents_in:,} documents in; {kept}; {report.families:,} families; {report.canaries} canaries")
    for reason, count in report.rejects.items():
        print(f"rejected: {count:,} · {reason}")
    for kind, count in report.redactions.items():
        print(f"redacted: {count:,} · {kind}")
    return report


if __name__ == "__main__":
    run("prepare", main)
