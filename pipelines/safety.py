"""Wiring of `safety`: model and training data in, the battery's report out.

What a killed run has finished stays in `.slipway/safety/` until the battery is done.
"""

import json
import os
import shutil
from pathlib import Path

import slipway
from pipelines.frame import Frame, run
from slipway.adapters import garak
from slipway.chat import check_tokenizer
from slipway.files import combined, digests, sha256_bytes
from slipway.model.load import load, weights_digest
from slipway.records import Probe, SafetyReport, read_record
from slipway.safety import battery, material
from slipway.safety.finished import Finished

CODE = ("safety", "evaluation/scoring", "statistics", "patterns", "chat.py")
"""What decides a probe's result, in the package."""


def _finished(frame: Frame, weights: str, place: str) -> Finished:
    """Results of this very battery: same weights, data, settings, seed and code, on the same kind of device."""
    import torch
    import transformers

    settings, package = frame.settings, Path(slipway.__file__).parent
    told = [settings.model_dump(mode="json"), frame.recipe.seed, frame.recipe.train.sequence_length]
    told += [
        weights,
        place,
        frame.recipe.train.threads,
        slipway.__version__,
        torch.__version__,
        transformers.__version__,
    ]
    files = read_record(frame.root / "reports" / "prepare.json").outputs
    files |= read_record(frame.root / "reports" / "tokenize.json").outputs
    for name in (settings.bias_file, settings.refusal_file):
        files |= digests(frame.root / name, frame.root) if name else {}
    for name in CODE:
        files |= {path: sha for path, sha in digests(package / name, package).items() if not path.endswith(".pyc")}
    key = combined(files | {"told": sha256_bytes(json.dumps(told).encode())})
    folder = frame.root / ".slipway" / "safety" / key[:16]
    for other in folder.parent.glob("*"):
        # What another battery left is of no use, and `slipway build --force safety` asks for the work.
        if other != folder or "SLIPWAY_FORCED" in os.environ:
            shutil.rmtree(other, ignore_errors=True)
    return Finished(folder)


def _garak(frame: Frame) -> Probe:
    return garak.run(
        os.environ.get(garak.VARIABLE),
        frame.root / "models/trained",
        frame.settings.garak,
        tokenizer_directory=frame.root / "models/tokenizer",
        seed=frame.recipe.seed,
    )


def main(frame: Frame) -> SafetyReport:
    """Run the battery, and say in one line each what it found."""
    import torch

    from slipway.evaluation.scoring import Scorer
    from slipway.model.device import choose

    recipe, root = frame.recipe, frame.root
    torch.set_num_threads(recipe.train.threads)
    place = choose(recipe.train, 0).place
    # A GPU has no deterministic form of some sums; there it is asked for as far as it goes.
    torch.use_deterministic_algorithms(mode=True, warn_only=place.type != "cpu")
    made = frame.report("tokenize")
    check_tokenizer(root / "models/tokenizer", made.tokenizer_sha256, made.chat_template_sha256)
    model, tokenizer = load(root / "models/trained", root / "models/tokenizer")
    weights = weights_digest(root / "models/trained")
    report = battery.run(
        Scorer(model.to(place), tokenizer, recipe.train.sequence_length),
        material.read(root / "data/clean"),
        recipe.safety,
        recipe.seed,
        weights_sha256=weights,
        root=root,
        talks=tokenizer.chat_template is not None,
        extra={garak.NAME: lambda: _garak(frame)},
        finished=_finished(frame, weights, place.type),
        say=frame.progress,
    )
    for probe in report.probes.values():
        figures = ", ".join(f"{name} {measure.value:.3g}" for name, measure in probe.measures.items())
        print(f"{probe.name}: {figures or f'{probe.status}: {probe.reason}'}", flush=True)
    return report


if __name__ == "__main__":
    run("safety", main)
