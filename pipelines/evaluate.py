"""Wiring of `evaluate`: model, its base and held-out data in, report and answered questions out."""

from pipelines.frame import Frame, run
from slipway.chat import check_tokenizer
from slipway.evaluation.documents import read_documents, read_texts
from slipway.evaluation.tasks import file
from slipway.files import combined, sha256_file
from slipway.model.load import load, weights_digest
from slipway.records import EvaluateReport
from slipway.shards import shards


def main(frame: Frame) -> EvaluateReport:
    """Measure, keep every answered question, and say the figures in one line each."""
    import torch

    from slipway.evaluation.beside import Base
    from slipway.evaluation.report import evaluate, write_answers
    from slipway.evaluation.scoring import Scorer

    recipe, root = frame.recipe, frame.root
    torch.set_num_threads(recipe.train.threads)
    torch.use_deterministic_algorithms(mode=True)
    clean = root / "data/clean"
    held_out = {path.relative_to(root).as_posix(): sha256_file(path) for path in shards(clean, "test")}
    test, train = read_documents(clean), read_texts(clean)
    tasks = [file.read(root / f"data/tasks/{one.name}.parquet", one.name, one.between) for one in recipe.evaluate.files]
    made = frame.report("tokenize")
    check_tokenizer(root / "models/tokenizer", made.tokenizer_sha256, made.chat_template_sha256)

    def scorer(directory: str) -> Scorer:
        return Scorer(*load(root / "models" / directory, root / "models/tokenizer"), recipe.train.sequence_length)

    start = frame.report("acquire").base if frame.report("train").start == "base" else None
    report, answers = evaluate(
        scorer("trained"),
        test,
        train,
        recipe.evaluate,
        recipe.seed,
        weights_sha256=weights_digest(root / "models/trained"),
        test_sha256=combined(held_out),
        files=tasks,
        base=Base(start.digest, lambda: scorer("base")) if start else None,
        say=frame.progress,
    )
    write_answers(answers, root / "reports/evaluate_items.parquet")
    _say(report)
    return report


def _say(report: EvaluateReport) -> None:
    for name, measure in report.bits_per_byte.items():
        print(f"{name}: {measure.value:.3f} bits per byte", flush=True)
    if report.answers:
        print(f"answers: {report.answers.value:.3f} bits per byte, given what was said before", flush=True)
    if base := report.base:
        figures = {
            "base": base.bits_per_byte,
            "model minus base": base.bits_per_byte_difference,
            f"answers of the base ({base.answers_form})": base.answers,
            "answers, model minus base": base.answers_difference,
        }
        for what, figure in figures.items():
            if figure:
                span = "" if figure.low is None else f" ({figure.low:.3f} to {figure.high:.3f})"
                print(f"{what}: {figure.value:.3f} bits per byte{span}", flush=True)
    for name, choice in report.choices.items():
        print(f"{name}: {choice.accuracy.value:.1%} right, chance {choice.chance:.0%}", flush=True)
    for name, reason in report.choices_left_out.items():
        print(f"{name} left out: {reason}", flush=True)


if __name__ == "__main__":
    run("evaluate", main)
