"""Wiring of `safety`: model and planted canaries in, the battery's report out."""

from pipelines.frame import Frame, run
from slipway.chat import check_tokenizer
from slipway.model.load import load, weights_digest
from slipway.records import SafetyReport
from slipway.safety import battery


def main(frame: Frame) -> SafetyReport:
    """Run the battery, and say in one line each what it found."""
    import torch

    from slipway.evaluation.scoring import Scorer

    recipe, root = frame.recipe, frame.root
    torch.set_num_threads(recipe.train.threads)
    torch.use_deterministic_algorithms(mode=True)
    made = frame.report("tokenize")
    check_tokenizer(root / "models/tokenizer", made.tokenizer_sha256, made.chat_template_sha256)
    model, tokenizer = load(root / "models/trained", root / "models/tokenizer")
    report = battery.run(
        Scorer(model, tokenizer, recipe.train.sequence_length),
        battery.read_material(root / "data/clean"),
        recipe.safety,
        recipe.seed,
        weights_sha256=weights_digest(root / "models/trained"),
        talks=tokenizer.chat_template is not None,
        say=frame.progress,
    )
    for probe in report.probes.values():
        figures = ", ".join(f"{name} {measure.value:.3g}" for name, measure in probe.measures.items())
        print(f"{probe.name}: {figures or f'{probe.status}: {probe.reason}'}", flush=True)
    return report


if __name__ == "__main__":
    run("safety", main)
