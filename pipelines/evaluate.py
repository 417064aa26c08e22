"""Wiring of `evaluate`: model and held-out data in, report and answered questions out."""

from pipelines.frame import Frame, run
from slipway.evaluation.documents import read_documents, read_texts
from slipway.files import sha256_file
from slipway.model.load import load
from slipway.records import EvaluateReport


def main(frame: Frame) -> EvaluateReport:
    """Measure, keep every answered question, and say the figures in one line each."""
    import torch

    from slipway.evaluation.report import evaluate, write_answers
    from slipway.evaluation.scoring import Scorer

    recipe, root = frame.recipe, frame.root
    torch.set_num_threads(recipe.train.threads)
    torch.use_deterministic_algorithms(mode=True)
    held_out = root / "data/clean/test.parquet"
    test, train = read_documents(held_out), read_texts(root / "data/clean/train.parquet")
    model, tokenizer = load(root / "models/trained", root / "models/tokenizer")
    report, answers = evaluate(
        Scorer(model, tokenizer, recipe.train.sequence_length),
        test,
        train,
        recipe.evaluate,
        recipe.seed,
        weights_sha256=sha256_file(root / "models/trained/model.safetensors"),
        test_sha256=sha256_file(held_out),
        say=frame.progress,
    )
    write_answers(answers, root / "reports/evaluate_items.parquet")
    for name, measure in report.bits_per_byte.items():
        print(f"{name}: {measure.value:.3f} bits per byte", flush=True)
    for name, choice in report.choices.items():
        print(f"{name}: {choice.accuracy.value:.1%} right, chance {choice.chance:.0%}", flush=True)
    for name, reason in report.choices_left_out.items():
        print(f"{name} left out: {reason}", flush=True)
    return report


if __name__ == "__main__":
    run("evaluate", main)
