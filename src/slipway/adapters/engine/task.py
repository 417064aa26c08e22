"""One item of work as bytes in and bytes out, the same on every engine.

Function, item, result and error travel as pickles. An error keeps its type where it can, so that a `UserError`
raised on another machine ends the command just as one raised here.
"""

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

from slipway.errors import UserError

ATTEMPTS = 3
"""How often an item is begun whose worker ends before it answers."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")


def limit_threads() -> None:
    """Let libraries that this process has yet to load use one thread each: the engine keeps the cores busy."""
    os.environ.update(dict.fromkeys(_THREADS, "1"), TOKENIZERS_PARALLELISM="false")


def limit_arrow() -> None:
    """The same for pyarrow, which reads no variable once it is loaded."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def packed(function: Callable[[Any], Any], item: object) -> bytes:
    """A function at the top of a module, and what to call it with."""
    return pickle.dumps((function, item), pickle.HIGHEST_PROTOCOL)


def work(payload: bytes) -> bytes:
    """Call a packed function; returns what `unpacked` reads."""
    try:
        function, item = pickle.loads(payload)  # noqa: S301 - from the process that started this one
        return pickle.dumps((function(item), None), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - raised again by `unpacked`, where somebody waits
        return _failure(error)


def _failure(error: Exception) -> bytes:
    if not isinstance(error, UserError):
        error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        answer = pickle.dumps((None, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(answer)  # noqa: S301 - some errors only fail when they are read
    except Exception:  # noqa: BLE001 - an error that cannot travel is told instead
        text = "".join(traceback.format_exception(error))
        return pickle.dumps((None, RuntimeError(f"a worker raised an error that does not pickle:\n{text}")))
    return answer


def unpacked(answer: bytes) -> tuple[Any, Exception | None]:
    """Result and None, or None and the error that the function raised."""
    return pickle.loads(answer)  # noqa: S301 - from a worker of ours


def name_of(function: Callable[[Any], Any]) -> str:
    """How messages call a function; a partial has no name of its own."""
    called = getattr(function, "func", function)
    return getattr(called, "__name__", str(called))


def lost(function: Callable[[Any], Any], item: object, ending: str) -> UserError:
    """The error for an item whose worker was lost `ATTEMPTS` times."""
    text = repr(item)
    name = f"{name_of(function)}({text if len(text) <= 300 else text[:300] + '…'})"
    return UserError(
        f"the worker of {name} was lost {ATTEMPTS} times ({ending}). Most often the system ended it for want of "
        "memory: set SLIPWAY_WORKERS to a smaller number, make shards smaller, or give the machine more memory"
    )
