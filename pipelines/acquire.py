"""acquire: the recipe's sources into data/raw, every file checked against inputs.lock."""

from pipelines.frame import Frame, run
from slipway.data.sources import acquire
from slipway.records import AcquireReport


def main(frame: Frame) -> AcquireReport:
    """Read, count, and say what was skipped."""
    report = acquire(frame.recipe, frame.root, frame.progress)
    print(f"{report.documents:,} documents, {report.characters:,} characters from {len(report.sources)} sources")
    for reason, count in report.skipped.items():
        print(f"skipped: {count:,} · {reason}")
    return report


if __name__ == "__main__":
    run("acquire", main)
