"""Frames that are decoded ahead are the frames, whatever blocks the source has."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from vmforensics.data import FrameBlock
from vmforensics.data.frames import frames_at_once
from vmforensics.errors import EvidenceUnreadable
from vmforensics.testing import StoredFrames
from vmforensics_global_shutter.decode_ahead import decoded_ahead

FRAMES = np.random.default_rng(0).integers(0, 255, (300, 20, 30)).astype(np.uint8)


@pytest.mark.parametrize("block", [1, 7, 128, 200, 256, 300])
def test_blocks_have_one_size_and_hold_every_frame(block: int) -> None:
    blocks = list(decoded_ahead(StoredFrames(FRAMES, rate=100.0, block=block).sensor_frames()))
    assert [len(b.index) for b in blocks] == [256, 44]
    np.testing.assert_array_equal(np.concatenate([b.luma for b in blocks]), FRAMES)
    np.testing.assert_array_equal(np.concatenate([b.index for b in blocks]), np.arange(300))
    assert all(b.luma.flags.c_contiguous for b in blocks)


@pytest.mark.parametrize("shape", [(300, 20, 30), (20, 1200, 1920)])
def test_what_a_source_hands_out_in_its_usual_blocks_is_not_copied(shape: tuple[int, int, int]) -> None:
    given: list[FrameBlock] = []

    class Noted(StoredFrames):
        def blocks(self) -> Iterator[FrameBlock]:
            given.extend(super().blocks())
            yield from given

    stored = Noted(np.zeros(shape, np.uint8), rate=100.0, block=frames_at_once(*shape[1:], 1))
    ahead = list(decoded_ahead(stored.sensor_frames()))
    assert all(np.shares_memory(own.luma, source.luma) for own, source in zip(ahead, given, strict=True))


def test_what_goes_wrong_in_the_decoder_is_told_to_the_reader() -> None:
    class Broken(StoredFrames):
        def blocks(self) -> Iterator[FrameBlock]:
            yield from list(super().blocks())[:2]
            raise EvidenceUnreadable("it broke", hint="")

    frames = Broken(FRAMES, rate=100.0, block=128).sensor_frames()
    read = []
    with pytest.raises(EvidenceUnreadable, match="it broke"):
        read += [len(block.index) for block in decoded_ahead(frames)]


def test_a_pass_that_only_the_garbage_collector_ends_leaves_no_thread_waiting() -> None:
    class Reader:
        blocks: Iterator[FrameBlock]

    for _ in range(3):
        reader = Reader()
        reader.blocks = decoded_ahead(StoredFrames(FRAMES, rate=100.0, block=7).sensor_frames())
        next(reader.blocks)
        vars(reader)["itself"] = reader
        del reader
        collected = threading.Thread(target=gc.collect, daemon=True)
        collected.start()
        collected.join(20)
        assert not collected.is_alive()
    assert "decode-ahead" not in {thread.name for thread in threading.enumerate()}
