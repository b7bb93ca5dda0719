"""Runs of one case, several at a time where memory allows."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnContext
from pathlib import Path

from vmforensics.case import Case, parse_case
from vmforensics.errors import NotEnoughMemory, OutputError, VmforensicsError
from vmforensics.plugins import Registry
from vmforensics.recovery import Outcome, Watcher, plan_case
from vmforensics.recovery.run import carry_out
from vmforensics.recovery.watch import Unwatched

_SHARE = 0.8  # of the free memory that runs may take together
_GRACE = 10.0  # s that an interrupted run may take to say so
_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Task:
    """One run to carry out, in a form that another process can be told.

    Parameters
    ----------
    path, text : Path, bytes
        The case file, and what it said when it was read.
    case : Case
        What it says, completed: all runs.
    number : int
        Which of them, from 0.
    folder : Path
        The run folder to make.
    """

    path: Path
    text: bytes
    case: Case
    number: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended: with an outcome, or refused for a reason.

    Parameters
    ----------
    task : Task
    outcome : Outcome or None
    error : str
        Why there is none.
    peak : int
        Bytes of memory that the process has taken at most.
    """

    task: Task
    outcome: Outcome | None
    error: str
    peak: int


def carry_out_all(
    tasks: Sequence[Task], *, jobs: int, make_registry: Callable[[], Registry], watcher: Watcher
) -> Iterator[Done]:
    """Carry out runs, in their order where `jobs` is 1, else as they end.

    The first one goes ahead alone, to see how much memory one takes; after that as many run at a time as fit into four
    fifths of what is free, `jobs` at most.

    Parameters
    ----------
    tasks
        The runs.
    jobs
        Most processes at a time.
    make_registry
        Makes the registry of stages, in each process; other processes must be able to import it.
    watcher
        Told of the progress.

    Raises
    ------
    OutputError
        A run folder can't be made or written: the others' neither.
    NotEnoughMemory
        A run's process was ended from outside.
    """
    if jobs == 1 or len(tasks) == 1:
        registry = make_registry()
        for task in tasks:
            watcher.say(f"run {task.case.runs[task.number].name}")
            yield _done(task, registry, watcher)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
    try:
        with _pool(1, context) as alone:
            first = alone.submit(_work, tasks[0], make_registry).result()
        yield first
        at_once = max(1, min(jobs, len(tasks) - 1, int(_SHARE * free_memory() / max(first.peak, 1))))
        watcher.say(f"{at_once} runs at a time: one takes {first.peak / 2**20:.0f} MiB")
        with _pool(at_once, context) as pool:
            for done in pool.map(_Worker(make_registry), tasks[1:]):
                watcher.say(f"run {done.task.case.runs[done.task.number].name}: {done.error or 'done'}")
                yield done
    except BrokenProcessPool as error:
        raise NotEnoughMemory(
            "a run's process was ended from outside, most likely for want of memory",
            hint="carry the comparison on with --resume and --jobs 1, or choose a smaller region",
        ) from error


@contextmanager
def _pool(processes: int, context: SpawnContext) -> Iterator[ProcessPoolExecutor]:
    """Processes to work in, whose runs end with ours: nobody waits for minutes after Ctrl-C."""
    pool = ProcessPoolExecutor(processes, context)
    before = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        own = [child for child in multiprocessing.active_children() if child not in before]
        for child in own:
            child.terminate()  # its run's ledger then says that it was interrupted
        for child in own:
            child.join(_GRACE)
            if child.is_alive():
                child.kill()
        raise
    pool.shutdown()


def free_memory() -> int:
    """Bytes that new programs may take without swapping; half of all memory where the system doesn't say."""
    if _MEMORY.is_file():
        for line in _MEMORY.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@dataclass(frozen=True, slots=True)
class _Worker:
    """`_work` with its registry's maker, for `map`."""

    make_registry: Callable[[], Registry]

    def __call__(self, task: Task) -> Done:
        return _work(task, self.make_registry)


def _work(task: Task, make_registry: Callable[[], Registry]) -> Done:
    return _done(task, make_registry(), Unwatched())


def _done(task: Task, registry: Registry, watcher: Watcher) -> Done:
    """Carry out one run; what refuses it is told rather than raised, but for what would refuse all."""
    outcome, error = None, ""
    try:
        case_file = replace(parse_case(task.text, task.path), case=task.case)
        outcome = carry_out(plan_case(case_file, registry)[task.number], task.folder, watcher, registry)
    except OutputError:
        raise
    except VmforensicsError as refusal:
        error = refusal.message
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Done(task, outcome, error, usage if sys.platform == "darwin" else 1024 * usage)
