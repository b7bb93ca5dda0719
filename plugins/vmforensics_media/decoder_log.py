"""What FFmpeg has to say about a file, caught instead of printed."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.logging

DAMAGE = (av.FFmpegError, ValueError, MemoryError, OverflowError, RuntimeError, LookupError)
"""What PyAV raises on damaged files: its own classes, and now and then a built-in one."""

_SHOWN = 50  # distinct messages that are kept word for word
_HELD = 1000  # distinct messages held before sorting, so that the ones shown don't depend on threads' order

_HARMLESS = re.compile(r"mmco: unref short failure|unable to decode APP fields|Application has requested")
"""Errors that FFmpeg reports of intact pictures, as many recorders write them."""

_lock = threading.Lock()
_listeners = 0


class DecoderLog(logging.Handler):
    """Collects distinct messages from every thread that FFmpeg decodes with.

    Attributes
    ----------
    errors : int
        Messages so far that tell of damage: FFmpeg's errors, not its warnings.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._findings: list[str] = []
        self._messages: set[str] = set()
        self._more = 0
        self._heard: Counter[str] = Counter()
        self.errors = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take a message of FFmpeg's."""
        said = " ".join(record.getMessage().split())
        self.errors += record.levelno >= logging.ERROR and not _HARMLESS.search(said)
        source = record.name.removeprefix("libav.")
        self.note(f"{source}: {said}", source=source)

    def find(self, finding: str) -> None:
        """Keep a finding of our own; findings come before FFmpeg's messages."""
        if finding not in self._findings:
            self._findings.append(finding)

    def fail(self, message: str, *, source: str = "") -> None:
        """Count a message that tells of damage, and keep it unless it is there already."""
        self.errors += 1
        self.note(message, source=source)

    def note(self, message: str, *, source: str = "") -> None:
        """Count a message, and keep it unless it is there already."""
        self._heard[source] += 1
        if message not in self._messages and len(self._messages) >= _HELD:
            self._more += 1
        else:
            self._messages.add(message)

    def heard_from(self, source: str) -> int:
        """Number of messages so far that came from a part of FFmpeg, a decoder for instance."""
        return self._heard[source]

    def absorb(self, other: DecoderLog) -> None:
        """Take over another log's messages."""
        self.errors += other.errors
        for finding in other._findings:
            self.find(finding)
        for message in other._messages:
            self.note(message)

    def messages(self) -> list[str]:
        """The findings, then the distinct messages in alphabetic order: at most 50, and a line that counts the rest."""
        found = sorted(self._messages)
        rest = len(found) - _SHOWN + self._more
        return [*self._findings, *found[:_SHOWN], *([f"and {rest} other messages"] if rest > 0 else [])]

    def hint(self, advice: str = "") -> str:
        """Advice, or what else there is to say, and the first messages, as an error's hint."""
        said = sorted(self._messages)[:3]
        told = [advice, *([f"FFmpeg says: {'; '.join(said)}"] if said else [])]
        return "; ".join(filter(None, told)) or "is it a whole video file?"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive FFmpeg's warnings and errors for as long as the context lasts.

        FFmpeg has one log for the whole process: two listeners at a time both hear everything.
        """
        logger = logging.getLogger("libav")
        logger.addHandler(self)
        _switch(+1)
        try:
            yield
        finally:
            _switch(-1)
            logger.removeHandler(self)


def _switch(change: int) -> None:
    """Turn FFmpeg's messages on with the first listener, off with the last."""
    global _listeners  # noqa: PLW0603  # the switch is FFmpeg's, and global
    with _lock:
        _listeners += change
        av.logging.set_skip_repeated(_listeners == 0)
        av.logging.set_level(av.logging.WARNING if _listeners else None)
