"""A finished run as the report gets to see it."""

from __future__ import annotations

import base64
import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def _wav(value: int) -> bytes:
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 48000, 96000, 2, 16)
    body += b"data" + struct.pack("<I", 8) + struct.pack("<h", value) * 4
    return b"RIFF" + struct.pack("<I", len(body)) + body


FILES = {
    "case.yaml": b"version: 1\n",
    "raw.wav": _wav(1),
    "raw_48k.wav": _wav(2),
    "recovered.wav": _wav(3),
    "recovered_48k.wav": _wav(4),
    "spectrogram.png": PNG,
    "wav-scale.json": b"{}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with small but true files."""
    place = tmp_path / "run"
    place.mkdir()
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def result() -> dict[str, Any]:
    """The result.json of a rolling-shutter run in which a signal was found."""

    def scale(full_scale: float, rate: int) -> dict[str, Any]:
        return {
            "rate_hz": rate,
            "exact_rate_hz": float(rate),
            "subtype": "PCM_24" if rate == 48000 else "FLOAT",
            "samples": 15976,
            "unit": "px",
            "px_per_unit": full_scale,
            "muted": False,
        }

    def signal(rms: float, peak: float, sigma: float) -> dict[str, Any]:
        return {
            "quantity": "displacement",
            "rate_hz": 8000.0,
            "start_s": 0.00025,
            "samples": 15976,
            "duration_s": 1.997,
            "rms_px": rms,
            "peak_px": peak,
            "median_sigma_px": sigma,
            "synthesised_share": 0.17626439659489235,
            "axis_along_row": 0.9702957262759965,
            "axis_across_rows": 0.24192189559966773,
        }

    def step(kind: str, name: str, **params: object) -> dict[str, Any]:
        return {
            "kind": kind,
            "name": name,
            "summary": f"what {name} does",
            "reference": f"Author of {name} 1999, doi:10.0000/{name}",
            "plugin": f"plugin-of-{name}",
            "distribution": "vmforensics",
            "version": "0.1.0",
            "editable": False,
            "source_sha256": hashlib.sha256(name.encode()).hexdigest(),
            "params": params,
            "params_meaning": {name: f"what {name} means" for name in params},
        }

    return {
        "format": "vmforensics-result/1",
        "program": {"name": "vmforensics", "version": "0.1.0"},
        "case": {
            "id": "2026-017",
            "title": "Voices behind a window",
            "examiner": "A. Examiner",
            "organisation": "Laboratory",
            "authority": "Order 7/26",
            "notes": "first line\nsecond line",
        },
        "run": "rows",
        "verdict": "signal",
        "verdict_reason": "the two halves of the region share a motion (p = 3.4e-07)",
        "detection": {
            "p_value": 3.4e-07,
            "false_alarm_rate": 0.01,
            "band_hz": [181.3, 3839.7596394591887],
            "test": "coherence of the motion of two disjoint sets of pixels",
        },
        "evidence": {
            "id": "E1",
            "name": "window.mov",
            "sha256": "ad" * 32,
            "size_bytes": 5749075,
            "files": 1,
            "unchanged_after_run": True,
            "decoded_frames": 118,
            "decoded_luma_sha256": "20" * 32,
            "repeated_frames": 3,
            "facts": {
                "container": "QuickTime / MOV",
                "codec": "h264",
                "codec_tag": "",
                "profile": None,
                "pixel_format": "yuv420p",
                "width": 320,
                "height": 180,
                "rotation_degrees": -90,
                "interlaced": False,
                "stream_taken": 1,
                "luma": "luma as decoded, of yuv420p",
                "metadata": {"make": "Acme", "nested": {"a": [1, 2]}},
            },
        },
        "clock": {
            "verdict": "rounded",
            "basis": "constant rate fitted to the stamps",
            "frame_rate_hz": 59.94005994005994,
            "largest_stamp_residual_s": 0.0003387040766720771,
            "frames_missing_from_container": 2,
        },
        "shutter": {
            "kind": "rolling",
            "row_time_s": 7.6e-05,
            "row_time_uncertainty_s": 2e-07,
            "row_time_source": "LED of known frequency",
            "exposure_s": 0.0005,
            "readout_direction": "top-to-bottom",
            "duty": 0.8199920048,
        },
        "region": {"x": 16, "y": 8, "width": 256, "height": 160},
        "method": [
            step("frame_source", "video"),
            step("motion_estimator", "row-motion", stripe=32.0),
            step("signal_combiner", "autoregressive", rate=8000.0, order=128, window=0.1, passes=3),
            step("denoiser", "high-pass", cutoff=20.0, order=4, bands=[1, 2], mode=None),
            step("exporter", "wav", peak_dbfs=-1.0),
        ],
        "signal": signal(0.04593992246893285, 0.10515734887843457, 0.0012573808281337072),
        "raw": signal(0.04155312016514115, 0.10477332028872624, 0.0013125923116368296),
        "band": {
            "upper_limit_hz": 4000.0,
            "trusted_up_to_hz": 1388.888888888889,
            "exposure_null_hz": 2000.0,
            "exposure_undone_db": 12.0,
            "notches_hz": [59.94005994005994 * k for k in range(1, 5)],
        },
        "audio": {
            "recovered.wav": scale(0.11798848604707346, 8000),
            "recovered_48k.wav": scale(0.11809581946259391, 48000),
            "raw.wav": scale(0.11755759888244116, 8000),
            "raw_48k.wav": scale(0.12158380058332761, 48000),
        },
        "warnings": ["2 of 120 frames couldn't be decoded", "decoder: error while decoding MB 3 4"],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    }
