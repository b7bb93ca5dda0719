"""How a run tells whoever watches it how far it is."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Receives a run's progress; the command line draws bars from it."""

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """`done` of `total` units ("frames", "bytes") of some work are done."""

    def say(self, text: str) -> None:
        """Something a person wants to know while waiting."""


class Unwatched:
    """A watcher that doesn't look."""

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""
