"""Train the model on packed tokens; metrics go to MLflow while it runs, if a run is open.

One process trains by itself. For several, this stage starts them through torchrun, or whatever SLIPWAY_LAUNCHER
says, and each runs this same file; the first of them leaves the report.
"""

import os
from pathlib import Path

from pipelines.frame import Frame, run
from slipway.adapters.tracking import metric_sink
from slipway.files import combined
from slipway.records import TrainReport, read_record


def _inputs(root: Path) -> str:
    """Digest of all that training reads: tokens, tokenizer, base and teacher."""
    stages = {"tokenize": ("data/tokens/", "models/tokenizer/"), "acquire": ("models/base/", "models/teacher/")}
    made = {stage: read_record(root / "reports" / f"{stage}.json").outputs for stage in stages}
    return combined(
        {path: sha for stage, outputs in made.items() for path, sha in outputs.items() if path.startswith(stages[stage])}
    )


def main(frame: Frame) -> TrainReport:
    from slipway.model import ranks
    from slipway.model.loop import Told
    from slipway.model.train import Places, train

    root = frame.root
    places = Places(
        tokens=root / "data" / "tokens",
        base=root / "models" / "base",
        teacher=root / "models" / "teacher",
        work=root / ".slipway" / "checkpoints",
        ledger=root / ".slipway" / "ledger",
        model_out=root / "models" / "trained",
        log_out=root / "reports" / "train_log.jsonl",
    )
    if ranks.wanted(frame.settings) and not ranks.inside():
        return ranks.launch(frame.settings.devices, places.work)
    with metric_sink(root) as log:
        report = train(
            frame.settings,
            frame.recipe.seed,
            places=places,
            inputs_digest=_inputs(root),
            name=frame.recipe.name,
            # `slipway build --force train` asks for the work, not for the checkpoints of the last time.
            fresh="SLIPWAY_FORCED" in os.environ and not ranks.restarted(),
            told=Told(log, frame.progress, lambda text: print(text, flush=True)),
        )
    assert report is not None  # only ranks other than the first return none, and they do not come here
    return report


if __name__ == "__main__":
    run("train", main)
