"""Train the model on packed tokens; metrics go to MLflow while it runs, if a run is open."""

import os

from pipelines.frame import Frame, run
from slipway.adapters.tracking import metric_sink
from slipway.files import combined
from slipway.records import TrainReport, read_record


def main(frame: Frame) -> TrainReport:
    from slipway.model.loop import train

    made = read_record(frame.root / "reports" / "tokenize.json").outputs
    with metric_sink(frame.root) as log:
        return train(
            frame.settings,
            frame.recipe.seed,
            tokens=frame.root / "data" / "tokens",
            tokens_digest=combined({path: sha for path, sha in made.items() if path.startswith("data/tokens/")}),
            model_out=frame.root / "models" / "trained",
            log_out=frame.root / "reports" / "train_log.jsonl",
            work=frame.root / ".slipway" / "checkpoints",
            # `slipway build --force train` asks for the work, not for the checkpoints of the last time.
            fresh="SLIPWAY_FORCED" in os.environ,
            log=log,
            progress=frame.progress,
            say=lambda text: print(text, flush=True),
        )


if __name__ == "__main__":
    run("train", main)
