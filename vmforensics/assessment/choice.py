"""What a recovery without settings goes by: the method and the region that an assessment promises most of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmforensics.errors import TimingError, Unsuitable
from vmforensics.recovery import Outcome

_LEAST_GLOBAL_RATE = 100.0  # frames/s; slower footage is ordinary video, hardly ever from a global shutter
_LEAST_AUDIBLE_RATE = 40.0  # frames/s; slower footage shows nothing above 20 Hz, where the usual high-pass begins


@dataclass(frozen=True, slots=True)
class Choice:
    """How to recover a clip.

    Parameters
    ----------
    settings : dict
        Arguments of `recover_clip`.
    reasons : tuple of str
        What was chosen, and why.
    """

    settings: dict[str, Any]
    reasons: tuple[str, ...]


def choose(assessment: Outcome, clip: Path) -> Choice:
    """Choose shutter, row time and region.

    Raises
    ------
    TimingError
        It is ordinary footage, and nothing tells its row time, which is never guessed.
    Unsuitable
        No method can be used on it.
    """
    result = assessment.result
    rate, row_time = result["clock"]["frame_rate_hz"], result["row_time"]
    methods = {method["shutter"]: method for method in result["methods"]}
    usable = {name: m for name, m in methods.items() if m["noise_density_px_per_rthz"] and not m["refusal"]}
    known = row_time is not None and row_time["row_time_s"] is not None
    settings: dict[str, Any] = {}
    if "rolling" in usable and known and row_time:
        source = f"{row_time['method']}: {row_time['reason']}"
        settings = {
            "shutter": "rolling",
            "row_time": row_time["row_time_s"],
            "row_time_uncertainty": row_time["row_time_uncertainty_s"],
            "row_time_source": source,
        }
        reasons = [f"as a rolling shutter, for its row time is known ({source})"]
    elif "global" in usable and rate >= _LEAST_GLOBAL_RATE:
        settings = {"shutter": "global"}
        reasons = [f"as a global shutter, for {rate:.6g} frames/s are high-speed footage, and no row time is known"]
    elif rate < _LEAST_GLOBAL_RATE and ("rolling" in usable or not methods.get("rolling", {}).get("refusal")):
        hint = "rolling-shutter footage: give --row-time; high-speed footage: give --capture-fps"
        if rate > _LEAST_AUDIBLE_RATE:
            hint += "; to go on as it is: --shutter global"
        why = f" ({row_time['method']}: {row_time['reason']})" if row_time else ""
        raise TimingError(
            f"{clip}: {rate:.6g} frames/s as a global shutter would show sound up to {rate / 2:.4g} Hz only, and as a "
            f"rolling one its row time isn't known{why}",
            hint=hint,
        )
    else:
        raise Unsuitable(
            f"{clip}: nothing can be recovered without further settings: {'; '.join(result['reasons'])}",
            hint="vmforensics assess tells more; --roi looks at a part of the picture",
        )
    best, facts = result["best_region"], result["evidence"]["facts"]
    if best and best["region"] != [0, 0, facts.get("width"), facts.get("height")]:
        settings["region"] = tuple(best["region"])
        place = ",".join(str(n) for n in best["region"])
        reasons.append(f"on the region {place}, for something outside it moves or flickers by itself")
    else:
        reasons.append("on the whole picture, for nothing in it moves by itself")
    return Choice(settings, tuple(reasons))
