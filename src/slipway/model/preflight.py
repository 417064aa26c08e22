"""Before step 1: is there room, and can a checkpoint be written, read back and removed? Better now than at the end."""

import shutil
from collections.abc import Callable

from slipway.errors import UserError
from slipway.files import walk
from slipway.model.checkpoint import Checkpoints, Tensors
from slipway.model.parallel import World
from slipway.settings import Train


def bytes_needed(settings: Train, tensors: Tensors) -> int:
    """Disk that the run's checkpoints and its model take at most, in bytes."""
    one = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    keep = settings.keep
    # One is being written while the others are there; the best one may be none of them.
    copies = keep.last + 2 + (1 + settings.steps // keep.every if keep.every else 0)
    model = sum(t.numel() * t.element_size() for name, t in tensors.items() if name.startswith("model."))
    return copies * one + model


def preflight(
    checkpoints: Checkpoints, settings: Train, tensors: Tensors, world: World, say: Callable[[str], None]
) -> None:
    """Ask for the disk, then write, read back and remove a checkpoint of full size.

    Raises:
        UserError: if there is too little room, or what was written cannot be read back.
    """
    needed = bytes_needed(settings, tensors)
    if world.first:
        checkpoints.directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(checkpoints.directory).free
        # Where a run goes on, what it has written already is part of what it needs.
        needed = max(0, needed - sum(path.stat().st_size for path in walk(checkpoints.directory)))
        if free < needed:
            raise UserError(
                f"{checkpoints.directory}: checkpoints and model need {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB "
                "are free; free some disk space, or keep fewer (train.keep)"
            )
    trial = Checkpoints(checkpoints.directory, ".trial", say, world=world)
    trial.begin(fresh=True)
    try:
        trial.save(0, tensors, {}, 0)
        trial.settle()
        if world.first:
            trial.read(0)
    except ValueError as error:
        raise UserError(f"{trial.directory}: a checkpoint cannot be read back ({error}); use another disk") from None
    finally:
        trial.close()
        world.told(None)
        if world.first:
            shutil.rmtree(trial.directory)
