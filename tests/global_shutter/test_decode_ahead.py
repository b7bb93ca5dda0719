"""Frames that are decoded ahead are the frames, whatever blocks the source has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vmforensics.data import FrameBlock
from vmforensics.errors import EvidenceUnreadable
from vmforensics.testing import StoredFrames
from vmforensics_global_shutter.decode_ahead import decoded_ahead

FRAMES = np.random.default_rng(0).integers(0, 255, (300, 20, 30)).astype(np.uint8)


@pytest.mark.parametrize("block", [1, 7, 128, 200, 256, 300])
def test_blocks_have_one_size_and_hold_every_frame(block: int) -> None:
    blocks = list(decoded_ahead(StoredFrames(FRAMES, rate=100.0, block=block).sensor_frames()))
    assert [len(b.index) for b in blocks] == [128, 128, 44]
    np.testing.assert_array_equal(np.concatenate([b.luma for b in blocks]), FRAMES)
    np.testing.assert_array_equal(np.concatenate([b.index for b in blocks]), np.arange(300))
    assert all(b.luma.flags.c_contiguous for b in blocks)


def test_what_goes_wrong_in_the_decoder_is_told_to_the_reader() -> None:
    class Broken(StoredFrames):
        def blocks(self) -> Iterator[FrameBlock]:
            yield from list(super().blocks())[:2]
            raise EvidenceUnreadable("it broke", hint="")

    frames = Broken(FRAMES, rate=100.0, block=128).sensor_frames()
    read = []
    with pytest.raises(EvidenceUnreadable, match="it broke"):
        read += [len(block.index) for block in decoded_ahead(frames)]
