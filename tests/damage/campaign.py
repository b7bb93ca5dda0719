"""Recovers randomly damaged copies of small clips, each in a process of its own, and tells how each ended.

    python tests/damage/campaign.py --copies 500

A copy ends well in a run whose warnings are in the ledger, or in an error of ours with a message. Anything else is a
fault: a crash, a traceback, a hang, too much memory, evidence that changed. Faults are listed, their copies are kept
(`--keep`), and the exit status is 1. The same seed makes the same copies.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harm import HARMS
from specimens import RATE, SPECIMENS

from vmforensics.errors import VmforensicsError
from vmforensics.recovery import recover_clip

_PRELOADED = ("matplotlib.backends.backend_agg", "scipy.signal", "soundfile", "tifffile", "vmforensics.report")
"""What a recovery imports when it needs it; imported once, before processes are forked."""

_SECONDS = 120  # CPU and wall time of one recovery, beyond which it hangs
_ADDRESSES = 6 * 2**30  # bytes of address space; threads' stacks and libraries count
_MEMORY = 1024  # MiB resident, beyond which memory isn't bounded; an idle process has some 200


@dataclass(frozen=True)
class Ending:
    """How one recovery ended.

    Parameters
    ----------
    kind : str
        "result", an error's class, or "FAULT".
    told : str
        Its message, or what was wrong.
    mib : int
        Peak resident memory.
    lossy : bool
        Whether a result lacks frames.
    """

    kind: str
    told: str
    mib: int
    lossy: bool = False


def harmed(pristine: Path, copy: Path, harm: str, rng: np.random.Generator) -> None:
    """Copy a specimen, and harm one of its files."""
    if pristine.is_dir():
        shutil.copytree(pristine, copy)
        victims = sorted(copy.iterdir())
    else:
        victims = [copy.with_suffix(p.suffix) for p in sorted(pristine.parent.glob(f"{pristine.stem}.*"))]
        for victim in victims:
            shutil.copyfile(pristine.with_suffix(victim.suffix), victim)
    victim = victims[int(rng.integers(len(victims)))]
    data = bytearray(victim.read_bytes())
    HARMS[harm](data, rng)
    victim.write_bytes(data)


def examined(clip: Path, scratch: Path, *, rolling: bool) -> Ending:
    """Recover a clip in a forked process, and see how that ends."""
    before = _state(clip)
    told = scratch / "told.json"
    child = os.fork()
    if child == 0:
        _recover(clip, scratch, told, rolling=rolling)
    _, status, usage = os.wait4(child, 0)
    mib = usage.ru_maxrss // 1024
    if os.WIFSIGNALED(status):
        return Ending("FAULT", f"killed by {signal.Signals(os.WTERMSIG(status)).name}", mib)
    if not told.is_file():
        return Ending("FAULT", f"ended with {os.waitstatus_to_exitcode(status)} and not a word", mib)
    if _state(clip) != before:
        return Ending("FAULT", "the evidence changed", mib)
    if mib > _MEMORY:
        return Ending("FAULT", f"{mib} MiB", mib)
    kind, text, lossy = json.loads(told.read_text())
    return Ending(kind, text, mib, lossy)


def _recover(clip: Path, scratch: Path, told: Path, *, rolling: bool) -> None:
    """Recover in this process, write down how it ended, and leave it."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(_SECONDS)
    how = {"shutter": "rolling", "row_time": "40us"} if rolling else {"shutter": "global", "capture_fps": RATE}
    if rolling and (clip.is_dir() or clip.suffix == ".tif"):
        how["capture_fps"] = 25  # pictures have no clock of their own
    with (scratch / "printed.txt").open("wb") as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
    try:
        outcome = recover_clip(clip, scratch / "run", **how)
        ending = ["result", outcome.result["verdict"], False]
        if wrong := _unrecorded(outcome.folder, outcome.result):
            ending = ["FAULT", wrong, False]
        facts, decoded = outcome.result["evidence"]["facts"], outcome.result["evidence"]["decoded_frames"]
        ending[2] = decoded < facts["frames"]
    except VmforensicsError as error:
        ending = [type(error).__name__, str(error), False]
        if not error.message or "Traceback" in error.message or type(error).__name__ == "StageError":
            ending[0] = "FAULT"
    except BaseException:
        ending = ["FAULT", traceback.format_exc(), False]
    if ending[0] != "FAULT" and (noise := (scratch / "printed.txt").read_text(errors="replace").strip()):
        ending = ["FAULT", f"it printed: {noise[-1000:]}", False]
    told.write_text(json.dumps(ending))
    os._exit(0)


def _unrecorded(run: Path, result: dict[str, object]) -> str:
    """What a finished run should have on record and hasn't."""
    entries = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    warned = [entry["text"] for entry in entries if entry["event"] == "warning"]
    if warned != result["warnings"]:
        return "result and ledger warn of different things"
    evidence = result["evidence"]
    lost = evidence["facts"]["frames"] - evidence["decoded_frames"]
    if lost and not any("couldn't be decoded" in text for text in warned):
        return f"{lost} frames are missing without a word"
    return ""


def _state(clip: Path) -> list[tuple[str, int, str]]:
    files = sorted(clip.iterdir()) if clip.is_dir() else sorted(clip.parent.glob(f"{clip.stem}.*"))
    return [(p.name, p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


def _pristine(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Write the specimens in a forked process, whose encoders' threads end with it."""
    listing = folder / "specimens.json"
    child = os.fork()
    if child == 0:
        found = {}
        for name in names:
            (folder / name).mkdir()
            found[name] = str(SPECIMENS[name](folder / name))
        listing.write_text(json.dumps(found))
        os._exit(0)
    os.waitpid(child, 0)
    return {name: Path(path) for name, path in json.loads(listing.read_text()).items()}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=SPECIMENS, default=list(SPECIMENS), metavar="KIND")
    parser.add_argument("--keep", type=Path, help="folder for the copies that end in a fault")
    parser.add_argument("--verbose", action="store_true", help="a line for each copy")
    options = parser.parse_args()
    for module in _PRELOADED:
        importlib.import_module(module)
    counts: dict[str, Counter[str]] = {name: Counter() for name in options.only}
    largest, faults = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        pristine = _pristine(Path(folder), options.only)
        for n in range(options.copies):
            name = options.only[n % len(options.only)]
            rng = np.random.default_rng([options.seed, n])
            harm = list(HARMS)[int(rng.integers(len(HARMS)))]
            scratch = Path(folder) / f"{n}"
            scratch.mkdir()
            copy = scratch / "copy" / pristine[name].name
            copy.parent.mkdir()
            harmed(pristine[name], copy, harm, rng)
            ending = examined(copy, scratch, rolling=n % 4 == 3)
            counts[name][ending.kind + (", frames lost" if ending.lossy else "")] += 1
            largest = max(largest, ending.mib)
            if ending.kind == "FAULT":
                faults += 1
                if options.keep:
                    shutil.copytree(copy.parent, options.keep / f"{options.seed}-{n}", dirs_exist_ok=True)
            if options.verbose or ending.kind == "FAULT":
                _say(f"{n} {name}, {harm}: {ending.kind}: {ending.told} [{ending.mib} MiB]")
            shutil.rmtree(scratch)
    for name, endings in counts.items():
        _say(f"{name:<20}" + "; ".join(f"{kind} {count}" for kind, count in sorted(endings.items())))
    _say(f"{options.copies} copies, {faults} faults, at most {largest} MiB")
    return 1 if faults else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
