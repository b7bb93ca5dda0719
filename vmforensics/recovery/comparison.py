"""The runs of one case side by side: one table, and one picture on common scales."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.custody import LEDGER_NAME, RunFolder, digest_evidence, sha256_file
from vmforensics.data import Evidence
from vmforensics.recovery.region_map import REGION_MAP, draw_regions
from vmforensics.recovery.summary import to_json
from vmforensics.recovery.watch import Watcher

COMPARISON_FORMAT = "vmforensics-comparison/1"
COMPARISON = "_comparison"
"""Name of the folder, beside those of the runs; no run can have it, for their names begin with a letter or digit."""

_SEGMENT = 0.25  # s; length of the averaged segments of a spectrum, where the signal is long enough
_FEWEST = 16  # samples of a segment
_LOWEST = 20.0  # Hz; what is slower is sway
_TITLE = 66  # characters that fit above a panel, before the verdict
_INK, _NOISE = "#0b6e8f", "#b8bec9"


def compare(
    runs: Sequence[tuple[Path, dict[str, Any], str]],
    into: Path,
    *,
    evidence: Sequence[Path],
    watcher: Watcher,
    scores: Sequence[dict[str, Any] | None] | None = None,
    refused: Sequence[dict[str, Any]] = (),
    **fields: Any,
) -> dict[str, Any]:
    """Compare finished runs in a folder of its own, with a ledger that names each run's ledger head.

    Parameters
    ----------
    runs
        For each run its folder, what its result.json says, and the SHA-256 of its ledger's last line.
    into
        The folder to make.
    evidence
        The exhibits, next to which nothing is written.
    watcher
        Told of the progress.
    scores
        For each run its scores against a reference, which go into its row; None where there is none.
    refused
        Runs that were refused, each with its `run`, `error` and what else is known of it.
    fields
        What the ledger's first entry says besides.

    Returns
    -------
    dict
        What comparison.json says: a row a run.

    Raises
    ------
    OutputError
        The folder can't be made or written.
    """
    watcher.say("comparing the runs")
    folder = RunFolder.create(into, evidence=evidence)
    compared = [{"run": result["run"], "ledger_head_sha256": head} for _, result, head in runs]
    with folder.record(compared=compared, **fields) as ledger, ledger.step("compare"):
        for path, result, _ in runs:  # what `verify` finds changed, if a run's record does
            record = Evidence(path / LEDGER_NAME, f"ledger of run {result['run']}")
            ledger.digested(record, digest_evidence(record))
        spectra = [_spectrum(path, result) for path, result, _ in runs]
        rows = [_row(result, found) for (_, result, _), found in zip(runs, spectra, strict=True)]
        for row, score in zip(rows, scores or (), strict=scores is not None):
            row["scores"] = score
        content: dict[str, Any] = {"format": COMPARISON_FORMAT, "case": runs[0][1]["case"], "runs": rows}
        if refused:
            content["refused"] = list(refused)
        ledger.published(folder.write("comparison.json", to_json(content)))
        ledger.published(folder.write("comparison.png", _drawn(rows, spectra)))
        regions = draw_regions([(path, result) for path, result, _ in runs])
        if regions is not None:
            ledger.published(folder.write(REGION_MAP, regions))
    return content


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Averaged spectrum of a run.

    Parameters
    ----------
    frequency : ndarray [shape=(n,), float64, Hz]
    amplitude : ndarray [shape=(n,), float64, unit/√Hz]
        Amplitude spectral density.
    noise : float, unit/√Hz
        That of the stated noise, 0 where it isn't white.
    source : str
        "raw"; or "recovered" where the raw signal has gaps, which would show as lines.
    """

    frequency: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    noise: float
    source: str


def _spectrum(folder: Path, result: dict[str, Any]) -> Spectrum | None:
    """Averaged spectrum of a run, from its signal.npz; None for a run that exported none, or too short a signal.

    By Welch's method (1967, doi:10.1109/TAU.1967.1161901).
    """
    from scipy.signal import welch

    path = folder / "signal.npz"
    if not path.is_file() or sha256_file(path) != result["files"].get(path.name):
        return None
    try:
        with np.load(path) as arrays:
            suffix = next(name.removeprefix("raw_sigma_") for name in arrays.files if name.startswith("raw_sigma_"))
            source = "raw" if arrays["raw_observed"].all() else "recovered"
            names = ("raw_", "raw_sigma_", "raw_rate_hz") if source == "raw" else ("samples_", "sigma_", "rate_hz")
            samples, sigma, rate = arrays[names[0] + suffix], arrays[names[1] + suffix], float(arrays[names[2]])
    except (KeyError, StopIteration, ValueError, OSError):  # another exporter's file of the same name
        return None
    size = min(max(round(_SEGMENT * rate), _FEWEST), len(samples))
    frequency, power = welch(samples, rate, nperseg=size, detrend="linear")
    keep = frequency >= max(_LOWEST, rate / size)
    if not power[keep].any():
        return None
    noise = float(np.sqrt(2 * np.mean(sigma**2) / rate)) if source == "raw" else 0.0
    return Spectrum(frequency[keep], np.sqrt(power[keep]), noise, source)


def _row(result: dict[str, Any], found: Spectrum | None) -> dict[str, Any]:
    """One run in the table."""
    methods = {
        kind: [m["name"] for m in result["method"] if m["kind"] == kind]
        for kind in ("motion_estimator", "signal_combiner", "denoiser")
    }
    signal = result["signal"]
    unit = next(name.removeprefix("rms_") for name in signal if name.startswith("rms_"))
    row: dict[str, Any] = {
        "run": result["run"],
        "evidence": result["evidence"]["name"],
        "motion_estimator": methods["motion_estimator"][0],
        "signal_combiner": methods["signal_combiner"][0],
        "denoisers": methods["denoiser"],
        "verdict": result["verdict"],
        "p_value": result["detection"]["p_value"],
        "quantity": signal["quantity"],
        "unit": unit,
        "raw_rms": result["raw"][f"rms_{unit}"],
        "recovered_rms": signal[f"rms_{unit}"],
        "raw_median_sigma": result["raw"][f"median_sigma_{unit}"],
        "spectrum_of": found and found.source,
        "strongest_hz": None,
        "strongest_over_median_db": None,
        "axis_degrees": float(np.degrees(np.arctan2(signal["axis_across_rows"], signal["axis_along_row"]))),
        "warnings": len(result["warnings"]),
    }
    if found is not None:
        peak = int(np.argmax(found.amplitude))
        typical = float(np.median(found.amplitude))
        row["strongest_hz"] = float(found.frequency[peak])
        row["strongest_over_median_db"] = float(20 * np.log10(found.amplitude[peak] / typical)) if typical else None
    return row


def _drawn(rows: Sequence[dict[str, Any]], spectra: Sequence[Spectrum | None]) -> bytes:
    """Small multiples of the spectra, displacement on one scale, as PNG bytes."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    top = max((float(found.frequency[-1]) for found in spectra if found is not None), default=1.0)
    columns = 2
    lines = -(-len(rows) // columns)
    with style.context("default", after_reset=True):
        figure = Figure(figsize=(11, 0.8 + 2.1 * lines), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for panel in panels[len(rows) :]:
            panel.set_visible(False)
        for panel, row, found in zip(panels, rows, spectra, strict=False):
            p_value = "" if row["p_value"] is None else f", p = {row['p_value']:.1g}"
            methods = f"{row['motion_estimator']}, {row['signal_combiner']}"
            named = row["motion_estimator"] in row["run"]  # as the runs of a matrix are
            run = textwrap.shorten(row["run"] if named else f"{row['run']}: {methods}", _TITLE, placeholder="…")
            panel.set_title(
                f"{run[:_TITLE]}: {row['verdict']}{p_value}",
                fontsize=8.5,
                loc="left",
                parse_math=False,
            )
            panel.tick_params(labelsize=8)
            panel.set_xlim(0, top)
            unit = "px" if row["unit"] == "px" else "1"
            panel.set_ylabel(f"{unit}/√Hz", fontsize=8)
            if found is None:
                panel.text(
                    0.5, 0.5, "no signal to show", ha="center", va="center", transform=panel.transAxes, fontsize=8
                )
                continue
            panel.semilogy(found.frequency, np.maximum(found.amplitude, 1e-12), color=_INK, linewidth=0.9)
            if found.noise > 0:
                panel.axhline(found.noise, color=_NOISE, linewidth=0.9)
            like = [f for f, r in zip(spectra, rows, strict=True) if f is not None and r["unit"] == row["unit"]]
            values = np.concatenate([f.amplitude for f in like] + [[f.noise for f in like]])
            panel.set_ylim(values[values > 0].min() / 1.5, values.max() * 1.5)
        for panel in panels[max(0, len(rows) - columns) : len(rows)]:
            panel.set_xlabel("Hz", fontsize=8)
            panel.tick_params(labelbottom=True)
        figure.suptitle(
            "Spectrum of each run (blue: raw; recovered where the raw signal has gaps) and its stated noise (grey)",
            fontsize=9.5,
        )
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=130, metadata={"Software": None})
    return out.getvalue()
