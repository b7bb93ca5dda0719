"""One piece of work at a time, in the background, with its progress for whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from vmforensics.custody import Terminated
from vmforensics.errors import CaseError, VmforensicsError
from vmforensics.recovery import Watcher

_MESSAGES = 50


class Job(Watcher):
    """Work that was asked for on the page.

    Parameters
    ----------
    work
        Does it, telling this watcher how far it is, and gives the name of what was made.
    """

    def __init__(self, work: Callable[[Watcher], str]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"state": "running", "what": "", "done": 0, "total": 0, "unit": "", "said": []}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job")

    def begin(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Have it end at the next sign of progress; its ledger says that it was interrupted."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def running(self) -> bool:
        """Whether it hasn't ended yet."""
        return bool(self.told()["state"] == "running")

    def told(self) -> dict[str, Any]:
        """How far it is, as JSON values."""
        with self._lock:
            return {**self._state, "said": list(self._state["said"])}

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Note how far it is."""
        self._heed()
        self._note(what=what, done=done, total=total, unit=unit)

    def say(self, text: str) -> None:
        """Note what a person wants to know."""
        self._heed()
        with self._lock:
            self._state["said"] = [*self._state["said"], text][-_MESSAGES:]

    def _heed(self) -> None:
        if self._stopping.is_set():
            raise Terminated("SIGTERM")

    def _note(self, **changes: Any) -> None:
        with self._lock:
            self._state |= changes

    def _run(self) -> None:
        try:
            self._note(state="finished", made=self._work(self))
        except VmforensicsError as error:
            self._note(state="failed", error=error.message, hint=error.hint or "")
        except Terminated:
            self._note(state="failed", error="stopped; the ledger says so", hint="")
        except BaseException as error:
            self._note(state="failed", error=f"{type(error).__name__}: {error}", hint="this is a fault of the program")
            raise


class Jobs:
    """The work of a page: one piece at a time, for the machine is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._job: Job | None = None

    def begin(self, work: Callable[[Watcher], str]) -> None:
        """Begin a piece of work.

        Raises
        ------
        CaseError
            Another one hasn't ended yet.
        """
        with self._lock:
            if self._job is not None and self._job.running:
                raise CaseError("a run is going on; a second one would only slow it down", hint="wait, or stop it")
            self._job = Job(work)
            self._job.begin()

    def stop(self) -> None:
        """Stop what is going on."""
        if self._job is not None:
            self._job.stop()

    def close(self) -> None:
        """Stop what is going on, and wait for its end."""
        self.stop()
        if self._job is not None:
            self._job.join()

    def told(self) -> dict[str, Any]:
        """How far it is; {"state": "idle"} where nothing was asked for yet."""
        return self._job.told() if self._job is not None else {"state": "idle"}
