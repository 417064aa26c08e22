"""A pool of processes on this machine.

Each worker has one item at a time and a pipe of its own, so that it is known which item a killed worker had: that
item alone is begun again. Workers are forked from a server that has loaded numpy and pyarrow once; forking from this
process instead would copy the locks of threads that the copy does not have.
"""

import contextlib
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any, Generic

from slipway.adapters.engine.task import ATTEMPTS, limit_arrow, limit_threads, lost, packed, unpacked, work
from slipway.processes import die_with
from slipway.spread import Item, Result


class Pool:
    """Up to `workers` processes, started when there are two items or more and kept until `close`."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._idle: list[_Worker] = []

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """See `Spread`."""
        if self._workers == 1 or len(items) < 2:
            return map(function, items)
        return self._results(_Job(function, items, self._idle))

    def _results(self, job: "_Job[Item, Result]") -> Iterator[Result]:
        try:
            for index in range(len(job.items)):
                while index not in job.done:
                    job.begin(self._workers)
                    job.collect()
                result, error = job.done.pop(index)
                if error is not None:
                    raise error
                yield result
        finally:
            # After an error, or when the caller stops asking, nothing goes on behind its back.
            for worker, _ in job.busy.values():
                worker.end()

    def close(self) -> None:
        """End the workers and the server that forked them."""
        while self._idle:
            self._idle.pop().end()
        # The library has no public call for it. Left alone, the server ends after this process, and the CPU time of
        # all workers is missing from what a benchmark or a batch system counts.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001


class _Job(Generic[Item, Result]):
    """One call of a pool: what is to do, who does what, what is done."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item], idle: "list[_Worker]") -> None:
        self.function, self.items = function, items
        self.busy: dict[Any, tuple[_Worker, int]] = {}
        self.done: dict[int, tuple[Any, Exception | None]] = {}
        self._idle = idle
        self._todo = list(range(len(items) - 1, -1, -1))  # the next one last
        self._begun = Counter[int]()

    def begin(self, workers: int) -> None:
        """Give the next items to idle workers, or to new ones up to `workers`."""
        while self._todo and len(self.busy) < workers:
            number = self._todo.pop()
            self._begun[number] += 1
            payload = packed(self.function, self.items[number])
            worker = self._idle.pop() if self._idle else _Worker()
            self.busy[worker.pipe] = worker, number
            worker.send(payload)

    def collect(self) -> None:
        """Wait for an answer or the end of a worker."""
        for pipe in wait(list(self.busy)):
            worker, number = self.busy.pop(pipe)
            answer = worker.answer()
            if answer is not None:
                self._idle.append(worker)
                self.done[number] = unpacked(answer)
            else:
                ending = worker.ending()
                if self._begun[number] < ATTEMPTS:
                    self._todo.append(number)
                    continue
                self.done[number] = None, lost(self.function, self.items[number], ending)
            if self.done[number][1] is not None:
                # What comes after an error will not be asked for.
                self._todo = [other for other in self._todo if other < number]


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["slipway.adapters.engine.preload"])
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, payload: bytes) -> None:
        """Give it an item."""
        with contextlib.suppress(OSError):  # it was killed while idle; `answer` will say so
            self.pipe.send_bytes(payload)

    def answer(self) -> bytes | None:
        """What it answers; None if it ended before."""
        try:
            return self.pipe.recv_bytes()
        except (EOFError, OSError):
            return None

    def ending(self) -> str:
        """How a worker ended that ended by itself: a signal or an exit code."""
        self._process.join(5)
        code = self._process.exitcode
        self.end()
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.pipe.close()


def _serve(pipe: Connection, parent: int) -> None:
    """A worker's life: answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    die_with(parent)
    limit_threads()
    limit_arrow()
    with contextlib.suppress(EOFError):
        while True:
            pipe.send_bytes(work(pipe.recv_bytes()))
