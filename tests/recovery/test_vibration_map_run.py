"""A run by tiles: from a clip of a box that vibrates alone to the map of who vibrates."""

from __future__ import annotations

import json
from pathlib import Path

from vmforensics import verify
from vmforensics.data import Region
from vmforensics.recovery import run_case
from vmforensics.testing import Camera, simulate, write_clip

CASE = """\
version: 1
case: {id: box}
evidence: [{path: box.mkv}]
camera: {shutter: global, capture_fps: 2200}
runs:
  - {motion_estimator: gradient, signal_combiner: shared-signal, exporter: [wav, vibration-map]}
"""


def test_the_map_of_a_run_shows_the_box(tmp_path: Path) -> None:
    box = Region(32, 32, 64, 32)
    camera = Camera(width=128, height=96, fps=2200, frames=300, noise=(1.0, 0.0))
    clip = simulate(camera, scene="natural", sound="chirp:200-700", rms_px=0.05, moving=box, seed=3)
    write_clip(clip, tmp_path / "box.mkv")
    (tmp_path / "case.yaml").write_text(CASE)
    (outcome,) = run_case(tmp_path / "case.yaml")
    assert outcome.result["verdict"] == "signal"
    assert verify(outcome.folder).ok
    numbers = json.loads((outcome.folder / "vibration_map.json").read_text())
    carrying = {(tile["x"], tile["y"]) for tile in numbers["tiles"] if tile["carries"]}
    assert carrying == {(32, 32), (64, 32)}
    assert (outcome.folder / "vibration_map.png").stat().st_size > 10_000
