"""The map of who vibrates: same bytes, numbers beside the picture, colour only where there is motion."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vmforensics.data import Recovery, Region, Verdict, Vibration
from vmforensics_media.vibration_map import VibrationMap

Make = Callable[..., Recovery]


def tile(column: int, *, carries: bool = True, snr: float = 6.0) -> Vibration:
    return Vibration(Region(32 * column, 16, 32, 32), carries, snr, 0.0123456, 310.1234, 35.04, 0.001)


@pytest.fixture
def mapped(recovery: Make) -> Recovery:
    picture = np.tile(np.linspace(40, 200, 128).astype(np.uint8), (64, 1))
    tiles = (tile(0), tile(1, snr=12.0), tile(2, carries=False), tile(3, carries=False))
    return replace(recovery(), vibrations=tiles, picture=picture)


def coloured(path: Path) -> np.ndarray:
    """Share of coloured pixels in each eighth of the picture's width."""
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.int64)
    return np.array([np.mean(np.ptp(part, axis=2) > 25) for part in np.array_split(pixels, 8, axis=1)])


def test_the_same_recovery_gives_the_same_bytes(mapped: Recovery, tmp_path: Path) -> None:
    contents = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        files = VibrationMap().export(mapped, tmp_path / run)
        assert [file.name for file in files] == ["vibration_map.png", "vibration_map.json"]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


def test_numbers_are_given_for_what_carries_the_motion_only(mapped: Recovery, tmp_path: Path) -> None:
    VibrationMap().export(mapped, tmp_path)
    numbers = json.loads((tmp_path / "vibration_map.json").read_text(encoding="utf-8"))
    assert (numbers["format"], numbers["version"]) == ("vmforensics-vibration-map", 1)
    assert (numbers["title"], numbers["verdict"]) == (mapped.title, "signal")
    first, *_, last = numbers["tiles"]
    assert first == {
        "x": 0, "y": 16, "width": 32, "height": 32, "carries": True, "snr_db": 6.0, "rms_px": 0.01235,
        "frequency_hz": 310.12, "direction_degrees": 35.0, "delay_s": 0.001,
    }  # fmt: skip
    assert (last["x"], last["carries"], last["snr_db"], last["frequency_hz"]) == (96, False, None, None)


def test_tiles_that_carry_nothing_stay_uncoloured(mapped: Recovery, tmp_path: Path) -> None:
    VibrationMap().export(mapped, tmp_path)
    shares = coloured(tmp_path / "vibration_map.png")
    assert (shares[1:3] > 0.2).all()
    assert (shares[4:7] < 0.01).all()


@pytest.mark.parametrize("picture", [None, np.full((64, 128), 3000, np.uint16)])
def test_it_is_drawn_without_tiles_too(recovery: Make, tmp_path: Path, picture: np.ndarray | None) -> None:
    found = replace(recovery(verdict=Verdict.NO_SIGNAL), picture=picture, full_scale=4095)
    VibrationMap().export(found, tmp_path)
    assert json.loads((tmp_path / "vibration_map.json").read_text())["tiles"] == []
    assert coloured(tmp_path / "vibration_map.png").max() < 0.01
