"""tokenize: a byte-level BPE from the training split, and token files that training maps into memory."""

from pipelines.frame import Frame, run
from slipway.data.tokens import tokenize
from slipway.records import TokenizeReport


def main(frame: Frame) -> TokenizeReport:
    """Train, pack, and say how densely."""
    report = tokenize(frame.settings, frame.root, frame.progress)
    for split, count in report.tokens.items():
        density = report.bytes[split] / count
        print(f"{split}: {report.documents[split]:,} documents, {count:,} tokens, {density:.2f} bytes per token")
    return report


if __name__ == "__main__":
    run("tokenize", main)
