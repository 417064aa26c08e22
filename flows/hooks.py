"""The wiring around a build: inputs checked before it, its MLflow run opened, completed or closed. No Prefect here."""

import os
from pathlib import Path

from slipway.recipe import load
from slipway.records import project_ledger


def preflight() -> None:
    """Before a build: the recipe is valid and the sources hold what `inputs.lock` says."""
    from slipway.adapters.inputs import pull
    from slipway.data.sources.lock import check_lock
    from slipway.data.sources.wanted import wants

    recipe = load("params.yaml")
    pull(Path.cwd(), [want.path for want in wants(recipe)])
    check_lock(recipe, Path.cwd())


def check_architecture() -> None:
    """Before a build that takes a while: transformers knows every key of `train.architecture`, the devices are here."""
    from slipway.model import device
    from slipway.model.build import configure

    recipe = load("params.yaml")
    if "SLIPWAY_LAUNCHER" not in os.environ:  # else training may run on other machines
        device.choose(recipe.train)
    vocabulary = recipe.tokenize.vocabulary or 1  # of a base tokenizer it is known when it is there
    if recipe.train.architecture is not None:
        configure(recipe.train.architecture, vocabulary, recipe.train.sequence_length)


def start_tracking() -> str | None:
    """Open the build's run; its id, or None where `SLIPWAY_TRACKING=off` asks for no tracking."""
    from slipway.adapters.tracking import start_build_run

    if os.environ.get("SLIPWAY_TRACKING") == "off":
        return None
    recipe = load("params.yaml")
    return start_build_run(Path.cwd(), recipe.name, recipe.model_dump(mode="json", by_alias=True))


def fail_tracking(run_id: str | None) -> None:
    """Close the run of a build that failed or was stopped."""
    from slipway.adapters.tracking import fail_build_run

    if run_id:
        fail_build_run(Path.cwd(), run_id)


def finish_tracking(run_id: str | None, cached: list[str]) -> None:
    """Complete the build's run from its reports and the ledger."""
    from slipway.adapters.tracking import finish_build_run
    from slipway.release import ledger

    if run_id:
        spent = project_ledger(Path.cwd(), load("params.yaml").bundle.price)
        finish_build_run(Path.cwd(), run_id, cached, spent, pages={ledger.NAME: ledger.render(spent)})
