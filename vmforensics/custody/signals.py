"""Signals that end a program, turned into exceptions so that a record can say so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C (SIGTERM, SIGHUP)."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


@contextmanager
def signals_raised() -> Iterator[None]:
    """Have the signals that would end the program at once raise `Terminated`, the first time they come.

    Only in the main thread, and only where they aren't handled otherwise.
    """

    def handle(number: int, _frame: FrameType | None) -> NoReturn:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(signal.Signals(number).name)

    taken: list[int] = []
    if threading.current_thread() is threading.main_thread():
        taken = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
