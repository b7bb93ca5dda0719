"""Kills writers of a ledger, and checks what they leave; a program of its own, for it forks.

Prints one line of JSON: how many were killed, how many left a line cut short, and how many writes were struck.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmforensics.custody.entries import FIRST_PREV, scan_ledger
from vmforensics.custody.ledger import Ledger

_CALLS = ("write", "pwrite", "fsync", "ftruncate")


def main() -> None:
    folder, moments = Path(sys.argv[1]), int(sys.argv[2])
    torn = sum(kill_at_a_random_moment(folder / f"random-{k // 10}.jsonl", k) for k in range(moments))
    struck = 0
    for call in _CALLS:
        for part in (0, 1, 40, 10**6):
            for nth in range(4):
                for tail in (20, 5000):
                    struck += kill_at_a_call(folder / f"{call}-{part}-{nth}-{tail}.jsonl", call, nth, part, tail)
    sys.stdout.write(json.dumps({"killed": moments, "torn": torn, "struck": struck}) + "\n")


def kill_at_a_random_moment(path: Path, seed: int) -> bool:
    """Have a process write until it is killed; give whether its last line was cut short."""
    choose = random.Random(seed)  # noqa: S311 repeatable
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        with open_or_create(path) as ledger:
            while True:
                entry = ledger.append("note", text="x" * choose.choice((10, 3000, 200_000)))
                os.write(send, f"{entry.digest}\n".encode())  # from here on, the entry counts
    os.close(send)
    time.sleep(choose.uniform(0, 0.012))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(receive, "rb") as pipe:
        acknowledged = pipe.read().decode().split()
    return go_on(path, acknowledged)


def kill_at_a_call(path: Path, call: str, nth: int, part: int, tail: int) -> bool:
    """Have a process recover and write, and die at its nth call of a function, with a part of a write done."""
    with Ledger.create(path) as ledger:
        before = ledger.append("first").digest
    with path.open("ab") as file:
        file.write(b'{"torn' + b"x" * tail)
    child = os.fork()
    if child == 0:
        strike(call, nth, part)
        with Ledger.open(path) as ledger:
            ledger.append("second", text="y" * 300)
            ledger.append("third")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    go_on(path, [before])
    return os.WIFSIGNALED(status)


def strike(call: str, nth: int, part: int) -> None:
    """Have the process kill itself at the nth call of a function."""
    original: Callable[..., Any] = getattr(os, call)
    calls = 0

    def struck(descriptor: int, *rest: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= nth:
            return original(descriptor, *rest)
        if call in ("write", "pwrite"):
            original(descriptor, bytes(rest[0])[:part], *rest[1:])
        elif part:
            original(descriptor, *rest)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    setattr(os, call, struck)


def go_on(path: Path, acknowledged: list[str]) -> bool:
    """Open the ledger, go on with it, and check that the chain holds and that nothing acknowledged is lost."""
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with open_or_create(path) as ledger:
        ledger.append("went-on")
    head = FIRST_PREV
    events = []
    for number, line in enumerate(scan_ledger(path), start=1):
        assert line.entry is not None, line.problem
        assert (line.entry.seq, line.entry.prev) == (number, head)
        head = line.digest
        events.append(line.entry.event)
    digests = {hashlib.sha256(line).hexdigest() for line in path.read_bytes().splitlines(keepends=True)}
    assert digests >= set(acknowledged)
    assert events[-1] == "went-on"
    assert not torn or events[-2] == "ledger-recovered"
    return torn


def open_or_create(path: Path) -> Ledger:
    return Ledger.open(path) if path.exists() else Ledger.create(path)


if __name__ == "__main__":
    main()
