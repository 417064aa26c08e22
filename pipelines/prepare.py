"""prepare: raw documents into clean, deduplicated, leak-free splits; rejects are kept with a reason."""

from pipelines.frame import Frame, run
from slipway.data.clean import prepare
from slipway.records import PrepareReport


def main(frame: Frame) -> PrepareReport:
    """Clean, split, and say what became of every document."""
    recipe = frame.recipe
    report = prepare(frame.settings, recipe.seed, recipe.bundle.licence, frame.root, frame.progress, frame.spread)
    kept = ", ".join(f"{name} {count:,}" for name, count in report.splits.items())
    similar, held = report.similarity, report.contamination
    print(f"{report.documents_in:,} documents in; {kept}; {report.families:,} families; {report.canaries} canaries")
    print(f"{similar.candidate_pairs:,} pairs compared, {similar.similar_pairs:,} of them similar")
    for reason, count in report.rejects.items():
        print(f"rejected: {count:,} · {reason}")
    for kind, count in report.redactions.items():
        print(f"redacted: {count:,} · {kind}")
    for name, share in held.residual.items():
        print(f"training data still holds {share:.1%} of the words of {name} ({held.items[name]:,} items)")
    return report


if __name__ == "__main__":
    run("prepare", main)
