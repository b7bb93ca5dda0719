"""Two runs' artefacts held against each other: byte for byte, and where bytes differ, number for number."""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.case.document import parse

SIGMAS = 0.01
"""Tolerance of a sample, in the standard uncertainties that the record states for it; relative one of uncertainties."""

RELATIVE = 1e-3
"""Relative tolerance of all other numbers, and of a sound file's samples as a share of its peak."""

_LARGEST_JSON = 64 * 2**20  # bytes
_DRAWN = (".html", ".png", ".pdf", ".svg")  # shows numbers that other artefacts hold


_UNSAID = object()


class Likeness(StrEnum):
    """How like an artefact is to the one on record."""

    IDENTICAL = "identical"  # the same bytes
    WITHIN_TOLERANCE = "within-tolerance"  # other bytes, and numbers that agree
    DRAWN = "drawn"  # a picture or page with other bytes; what it shows is compared in the numbers themselves
    DIFFERENT = "different"
    MISSING = "missing"  # on record, and not made again
    ADDED = "added"  # made now, and not on record


@dataclass(frozen=True, slots=True)
class Artefact:
    """One artefact compared.

    Parameters
    ----------
    name : str
    likeness : Likeness
    detail : str
        By how much it differs, and in what; "" for an identical one.
    """

    name: str
    likeness: Likeness
    detail: str = ""


def compare_artefacts(then: Path, now: Path, recorded: Mapping[str, str], made: Mapping[str, str]) -> list[Artefact]:
    """Compare every artefact of two runs.

    A sample of `signal.npz` may differ by `SIGMAS` of its stated standard uncertainty; other numbers by `RELATIVE`, or
    by `SIGMAS` of the uncertainty that is stated beside them; figures that are themselves uncertainties by `SIGMAS` of
    their size. Counts, words and truth values must be the same.

    Parameters
    ----------
    then, now
        The two run folders.
    recorded, made
        SHA-256 of their artefacts by name.
    """
    found = []
    for name in sorted(recorded.keys() | made.keys()):
        if name not in made:
            found.append(Artefact(name, Likeness.MISSING, "wasn't made again"))
        elif name not in recorded:
            found.append(Artefact(name, Likeness.ADDED, "isn't on record"))
        elif recorded[name] == made[name]:
            found.append(Artefact(name, Likeness.IDENTICAL))
        else:
            found.append(_compared(name, then / name, now / name))
    return found


def _compared(name: str, then: Path, now: Path) -> Artefact:
    """Compare two files whose bytes differ."""
    compare = _COMPARISONS.get(then.suffix)
    if compare is None:
        if then.suffix in _DRAWN:
            return Artefact(name, Likeness.DRAWN, "other bytes; the numbers it shows are compared themselves")
        return Artefact(name, Likeness.DIFFERENT, "other bytes; what it holds can't be compared number by number")
    try:
        problems, detail = compare(then, now)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RecursionError) as error:
        return Artefact(name, Likeness.DIFFERENT, f"can't be compared: {type(error).__name__}: {error}")
    if problems:
        shown = "; ".join(problems[:5])
        return Artefact(name, Likeness.DIFFERENT, f"{shown}{f'; and {len(problems) - 5} more' if problems[5:] else ''}")
    return Artefact(name, Likeness.WITHIN_TOLERANCE, detail)


def _arrays(then: Path, now: Path) -> tuple[list[str], str]:
    """Compare NumPy archives array by array; samples against the uncertainty stated for them."""
    sizes = []
    for path in (then, now):
        with zipfile.ZipFile(path) as archive:
            sizes.append({member.filename: member.file_size for member in archive.infolist()})
    if sizes[0] != sizes[1]:  # also keeps a hostile archive from claiming more memory than ours took
        names = sorted(name for name in sizes[0].keys() | sizes[1].keys() if sizes[0].get(name) != sizes[1].get(name))
        return [f"{', '.join(names)}: other arrays or sizes"], ""
    problems = []
    worst, sigmas = 0.0, 0.0
    with np.load(then, allow_pickle=False) as before, np.load(now, allow_pickle=False) as after:
        for name in before.files:
            old, new = before[name], after[name]
            if old.dtype != new.dtype or old.shape != new.shape or old.dtype.kind not in "biuf":
                problems.append(f"{name}: another kind of array")
            elif old.dtype.kind != "f":
                if changed := int(np.sum(old != new)):
                    problems.append(f"{name}: {changed} of {old.size} values differ")
            elif old.size and not np.array_equal(old, new, equal_nan=True):
                sigma = _sigma_of(name, before)
                if sigma is None:
                    off = _share(old, new)
                    worst = max(worst, off)
                    if not off <= RELATIVE:
                        problems.append(f"{name}: differs by {off:.1e} of its largest value")
                else:
                    off = float(np.max(np.abs(old - new) / sigma))
                    sigmas = max(sigmas, off)
                    if not off <= SIGMAS:
                        problems.append(f"{name}: differs by {off:.2g} standard uncertainties")
    return problems, f"samples differ by {sigmas:.1g} standard uncertainties at most, the rest by {worst:.0e}"


def _sigma_of(name: str, archive: Any) -> NDArray[np.float64] | None:
    """The uncertainties of samples: `sigma_px` of `samples_px`, `raw_sigma_px` of `raw_px`; None of other arrays."""
    stem, _, unit = name.rpartition("_")
    partner = {"samples": f"sigma_{unit}", "raw": f"raw_sigma_{unit}"}.get(stem)
    if partner is None or partner not in archive.files:
        return None
    sigma = np.asarray(archive[partner], dtype=np.float64)
    return sigma if sigma.shape == archive[name].shape and np.all(sigma > 0) else None


def _share(old: NDArray[Any], new: NDArray[Any]) -> float:
    """Largest difference as a share of the largest value; infinite where values aren't finite in both alike."""
    old, new = old.astype(np.float64), new.astype(np.float64)
    if not (np.isfinite(old).all() and np.isfinite(new).all()):
        return math.inf
    off = float(np.max(np.abs(old - new)))
    return off / max(float(np.max(np.abs(old))), np.finfo(np.float64).tiny) if off else 0.0


def _sounds(then: Path, now: Path) -> tuple[list[str], str]:
    """Compare sound files sample by sample, as shares of full scale; `wav-scale.json` has the scales."""
    from scipy.io import wavfile

    if abs(then.stat().st_size - now.stat().st_size) > 4096:  # beside the samples there is a comment
        return ["it is of another length"], ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that it doesn't know
        (old_rate, old), (new_rate, new) = wavfile.read(then), wavfile.read(now)
    if old_rate != new_rate or old.shape != new.shape or old.dtype != new.dtype:
        return ["it has another rate, length or sample format"], ""
    off = _share(old, new) if old.size else 0.0
    problem = [f"samples differ by {off:.1e} of the peak"] if not off <= RELATIVE else []
    return problem, f"samples differ by {off:.0e} of the peak at most"


def _figures(then: Path, now: Path) -> tuple[list[str], str]:
    """Compare JSON files value by value; what says which program or file it was is named elsewhere."""
    if max(then.stat().st_size, now.stat().st_size) > _LARGEST_JSON:
        return ["it is too large to compare"], ""
    old, new = (json.loads(path.read_bytes(), parse_constant=float) for path in (then, now))
    return _values(old, new)


def _cases(then: Path, now: Path) -> tuple[list[str], str]:
    """Compare case files: what one states must be the same; a stage may have gained parameters since."""
    old, new = (parse(path.read_bytes()).root for path in (then, now))
    return _values(old and old.value, new and new.value)


def _values(old: Any, new: Any) -> tuple[list[str], str]:
    """Compare two documents value by value; what only the newer states is told, and is no difference."""
    problems: list[str] = []
    gained: list[str] = []
    worst = 0.0
    for place, before, after, uncertainty in _leaves("", old, new):
        if before is _UNSAID:
            gained.append(place)
        elif _is_number(before) and _is_number(after) and (isinstance(before, float) or isinstance(after, float)):
            off, agree = _agreement(place, before, after, uncertainty)
            worst = max(worst, off)
            if not agree:
                problems.append(f"{place}: {before!r} then, {after!r} now")
        elif before != after or type(before) is not type(after):
            problems.append(f"{place}: {_short(before)} then, {_short(after)} now")
    more = f"; states besides: {', '.join(gained[:5])}{' ...' if gained[5:] else ''}" if gained else ""
    return problems, f"figures differ by {worst:.0e} at most{more}"


def _leaves(place: str, old: Any, new: Any, uncertainty: Any = None) -> Iterator[tuple[str, Any, Any, Any]]:
    """Every value of two JSON documents side by side, with the uncertainty that is stated beside it."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if _is_named_elsewhere(place, key):
                continue
            beside = old.get(f"{key}_uncertainty")
            yield from _leaves(f"{place}.{key}".lstrip("."), old.get(key, _UNSAID), new.get(key), beside)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for k, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(f"{place}[{k}]", before, after)
    else:
        yield place, old, new, uncertainty


def _is_named_elsewhere(place: str, key: str) -> bool:
    """Whether a value says which program or file it was: those are compared, and named, by themselves."""
    if place.startswith("method["):
        return key in ("version", "distribution", "editable", "origin", "source_sha256")
    return (place, key) in {("", "files"), ("program", "version"), ("evidence.facts", "decoder")}


def _agreement(place: str, old: float, new: float, uncertainty: Any) -> tuple[float, bool]:
    """Relative difference of two figures, and whether they agree."""
    if old == new or (math.isnan(old) and math.isnan(new)):
        return 0.0, True
    if not (math.isfinite(old) and math.isfinite(new)):
        return math.inf, False
    off = abs(old - new) / max(abs(old), abs(new))
    if place.endswith("p_value") and old > 0 and new > 0:  # a probability is judged by its order
        return off, abs(math.log10(old / new)) <= SIGMAS
    within = _is_number(uncertainty) and uncertainty > 0 and abs(old - new) <= SIGMAS * uncertainty
    is_uncertainty = any(word in place.rpartition(".")[2] for word in ("uncertainty", "sigma"))
    return off, within or off <= (SIGMAS if is_uncertainty else RELATIVE)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_COMPARISONS: dict[str, Callable[[Path, Path], tuple[list[str], str]]] = {
    ".npz": _arrays,
    ".wav": _sounds,
    ".json": _figures,
    ".yaml": _cases,
}
