"""Train the model on packed tokens; metrics go to MLflow while it runs, if a run is open.

One process trains by itself. For several, this stage starts them through torchrun, or whatever SLIPWAY_LAUNCHER
says, and each runs this same file; the first of them leaves the report.
"""

import os
from contextlib import nullcontext
from pathlib import Path

from pipelines.frame import Frame, run
from slipway.adapters.tracking import metric_sink
from slipway.model import ranks
from slipway.model.told import Places, Told, inputs_digest, quiet
from slipway.records import TrainReport, read_record


def _say(text: str) -> None:
    print(text, flush=True)


def _inputs(root: Path) -> str:
    """Digest of all that training reads: tokens, tokenizer, base and teacher."""
    made = [read_record(root / "reports" / f"{stage}.json").outputs for stage in ("acquire", "tokenize")]
    return inputs_digest(made[0] | made[1])


def _places(root: Path) -> Places:
    return Places(
        tokens=root / "data" / "tokens",
        base=root / "models" / "base",
        teacher=root / "models" / "teacher",
        work=root / ".slipway" / "checkpoints",
        ledger=root / ".slipway" / "ledger",
        model_out=root / "models" / "trained",
        log_out=root / "reports" / "train_log.jsonl",
    )


def _train(frame: Frame) -> TrainReport | None:
    """Train in this process, alone or as one of several; the first returns the report."""
    from slipway.model.train import train

    with metric_sink(frame.root) if ranks.first() else nullcontext(quiet) as log:
        return train(
            frame.settings,
            frame.recipe.seed,
            places=_places(frame.root),
            inputs_digest=_inputs(frame.root),
            name=frame.recipe.name,
            # `slipway build --force train` asks for the work, not for the checkpoints of the last time.
            fresh="SLIPWAY_FORCED" in os.environ and not ranks.restarted(),
            told=Told(log, frame.progress if ranks.first() else quiet, _say if ranks.first() else quiet),
        )


def main(frame: Frame) -> TrainReport:
    devices = frame.settings.devices
    if ranks.wanted(devices):
        return ranks.launch(devices, _places(frame.root).work)
    report = _train(frame)
    if report is None:
        raise RuntimeError("a process that stands alone left no report")
    return report


if __name__ == "__main__":
    if ranks.inside():
        here = Frame("train", Path.cwd())
        ranks.serve(lambda: _train(here), _places(here.root).work)
    else:
        run("train", main)
