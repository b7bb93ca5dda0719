"""Footage whose odd and even rows show different instants is found out; other footage isn't accused of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.custody import WatchedStream
from vmforensics.data import FrameBlock, FrameStream, ReadoutDirection, Region, Shutter
from vmforensics.errors import Unsuitable
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.recovery.weave import Weave

FRAMES, ROWS, COLS = 48, 48, 64


def footage(path: NDArray[np.float64], *, woven: int = 0, seed: int = 0) -> NDArray[np.uint8]:
    """A noisy texture that moves along a path of two instants a frame; odd rows are `woven` instants late."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLS].astype(float)
    waves = [(rng.uniform(0.1, 1), rng.uniform(-1, 1), rng.uniform(0, 7)) for _ in range(10)]
    frames = np.empty((len(path) // 2 - 1, ROWS, COLS))
    for n in range(len(frames)):
        for first, late in ((0, 0), (1, woven)):
            shifted = x - path[2 * n + late]
            frames[n, first::2] = sum(np.cos(a * shifted + b * y + phase) for a, b, phase in waves)[first::2]
    return np.clip(np.rint(120 + 14 * frames + rng.normal(0, 1.5, frames.shape)), 0, 255).astype(np.uint8)


def paths() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(5)
    instants = np.arange(2 * FRAMES + 2)
    return {
        "pan": 0.1 * instants,
        "sway": 2 * np.sin(instants / 7),
        "walk": np.cumsum(rng.normal(0, 0.3, len(instants))),
        "sound": rng.normal(0, 0.3, len(instants)),
        "rest": np.zeros(len(instants)),
    }


def weave_of(frames: NDArray[np.uint8]) -> Weave:
    weave = Weave()
    for first in range(0, len(frames), 8):
        weave.look_at(frames[first : first + 8])
    return weave


@pytest.mark.parametrize("name", ["pan", "sway"])
@pytest.mark.parametrize("woven", [0, 1])
def test_the_offset_of_the_fields_is_measured(name: str, woven: int) -> None:
    measured = weave_of(footage(paths()[name], woven=woven)).offset()
    assert measured is not None
    assert measured[0] == pytest.approx(woven / 2, abs=max(0.02, 4 * measured[1]))
    assert measured[1] < 0.05


@pytest.mark.parametrize("name", list(paths()))
def test_progressive_footage_is_never_accused(name: str) -> None:
    assert not any(weave_of(footage(paths()[name], seed=seed)).finding() for seed in range(4))


def test_neither_a_cut_nor_repeated_frames_pass_for_fields() -> None:
    cut = footage(paths()["sound"])
    cut[len(cut) // 2 :] = 255 - cut[len(cut) // 2 :]
    assert weave_of(cut).finding() == ""
    assert weave_of(np.repeat(footage(paths()["pan"])[::2], 2, axis=0)).finding() == ""


class _Clip(FrameStream):
    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self._frames = frames
        self.height, self.width, self.full_scale = ROWS, COLS, 255
        self.stamps = np.arange(len(frames)) / 25
        self.stamp_resolution, self.declared_rate = 0.0, 25.0
        self.facts, self.complaints = {}, ["something else"]

    def blocks(self):  # type: ignore[no-untyped-def]
        for first in range(0, len(self._frames), 12):
            block = self._frames[first : first + 12]
            yield FrameBlock(np.arange(first, first + len(block)), block)


def inspected(shutter: Shutter, *, woven: int) -> InspectedStream:
    stream = WatchedStream(_Clip(footage(paths()["pan"], woven=woven)))
    return InspectedStream(stream, shutter, Region(0, 0, COLS, ROWS))


def test_undeclared_fields_are_a_warning_and_a_refusal_where_rows_have_instants() -> None:
    stream = inspected(Shutter(), woven=1)
    for _ in range(2):
        list(stream.blocks())
        assert "the footage is interlaced" in stream.complaints[0]
        assert stream.complaints[1:] == ["something else"]
    rolling = Shutter(line_delay=20e-6, direction=ReadoutDirection.TOP_TO_BOTTOM)
    with pytest.raises(Unsuitable, match=r"0\.5. ± 0\.0. of a frame apart"):
        list(inspected(rolling, woven=1).blocks())
    progressive = inspected(rolling, woven=0)
    list(progressive.blocks())
    assert progressive.complaints == ["something else"]
