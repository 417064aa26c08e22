"""tokenize: a tokenizer trained or taken from the base, and token files that training maps into memory."""

from pipelines.frame import Frame, run
from slipway.data.tokens import tokenize
from slipway.records import TokenizeReport


def main(frame: Frame) -> TokenizeReport:
    """Make the tokenizer, pack, and say how densely."""
    report = tokenize(frame.settings, frame.root, frame.progress, frame.spread)
    for split, count in report.tokens.items():
        density = report.bytes[split] / max(count, 1)
        line = f"{split}: {report.documents[split]:,} documents, {count:,} tokens, {density:.2f} bytes per token"
        if report.learnt[split] < count:
            line += f", {report.learnt[split]:,} count in the loss"
        if report.packing == "whole":
            line += f", {report.padding[split]:.2%} padding"
        print(line)
    return report


if __name__ == "__main__":
    run("tokenize", main)
