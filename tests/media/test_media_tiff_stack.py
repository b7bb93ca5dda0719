"""TIFF files of many pages as clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from vmforensics.data import Evidence
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, FrameSizeChanged
from vmforensics.plugins import Registry
from vmforensics.recovery.plan import source_for
from vmforensics_media.tiff_stack import TiffStack, is_stack


def pages(dtype: Any = np.uint16, count: int = 7) -> Any:
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (count, 12, 20)).astype(dtype)


def read(path: Path, **params: Any) -> tuple[Any, Any]:
    stream = TiffStack(TiffStack.Params(**params)).open(Evidence(path))
    return stream, np.concatenate([block.luma for block in stream.blocks()])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"bigtiff": True}, {"imagej": True}, {"rowsperstrip": 5}],
    ids=lambda o: next(iter(o), "plain"),
)
def test_pages_are_read_code_by_code(tmp_path: Path, dtype: Any, options: dict[str, Any]) -> None:
    path, frames = tmp_path / "clip.tif", pages("u2" if dtype == ">u2" else dtype)
    big = dtype == ">u2" or "imagej" in options
    with tifffile.TiffWriter(
        path, byteorder=">" if big else "<", bigtiff=options.get("bigtiff", False), imagej="imagej" in options
    ) as out:
        for frame in frames if "imagej" not in options else [frames]:
            keep = {k: v for k, v in options.items() if k in ("compression", "rowsperstrip")}
            out.write(frame, photometric="minisblack", contiguous=False, **keep)
    with tifffile.TiffFile(path) as tiff:
        virtual = len(tiff.pages) == 1
    if virtual:
        with pytest.raises(EvidenceUnreadable, match="no directories of their own"):
            read(path)
        return
    stream, luma = read(path, rate=1000)
    np.testing.assert_array_equal(luma, frames)
    assert luma.dtype.isnative
    assert stream.full_scale == np.iinfo(frames.dtype).max
    np.testing.assert_array_equal(stream.stamps, np.arange(7) / 1000)


def test_a_stack_is_found_by_itself_and_a_single_picture_is_none(tmp_path: Path) -> None:
    stack, single = tmp_path / "stack.tif", tmp_path / "single.tif"
    tifffile.imwrite(stack, pages(), photometric="minisblack")
    tifffile.imwrite(single, pages()[0], photometric="minisblack")
    assert is_stack(stack)
    assert not is_stack(single)
    assert source_for(stack, Registry()).name == "tiff-stack"
    assert source_for(single, Registry()).name == "image-sequence"
    assert np.isnan(read(stack)[0].stamps).all()


def test_blocks_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "clip.tif"
    tifffile.imwrite(path, np.zeros((20, 1024, 1024), np.uint16), photometric="minisblack")
    sizes = [block.luma.nbytes for block in TiffStack().open(Evidence(path)).blocks()]
    assert len(sizes) == 3
    assert max(sizes) <= 16 * 2**20


@pytest.mark.parametrize(
    ("frames", "options", "told"),
    [
        (np.zeros((3, 8, 8, 3), np.uint8), {"photometric": "rgb"}, "3 sample"),
        (np.zeros((3, 8, 8), np.uint8), {"photometric": "miniswhite"}, "miniswhite"),
        (np.zeros((3, 8, 8), np.float32), {"photometric": "minisblack"}, "32 bits"),
        (np.zeros((3, 8, 8), np.int16), {"photometric": "minisblack"}, "int16"),
    ],
)
def test_other_pixels_are_refused(tmp_path: Path, frames: Any, options: dict[str, Any], told: str) -> None:
    path = tmp_path / "clip.tif"
    tifffile.imwrite(path, frames, **options)
    with pytest.raises(EvidenceUnreadable, match=told):
        read(path)


def test_pages_of_another_size_and_damage_are_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.tif"
    with tifffile.TiffWriter(path) as out:
        for size in (8, 8, 9):
            out.write(np.zeros((size, 8), np.uint16), photometric="minisblack")
    with pytest.raises(FrameSizeChanged, match="page 2 is 8x9"):
        read(path)
    whole = path.with_name("whole.tif")
    tifffile.imwrite(whole, pages(), photometric="minisblack", compression="zlib")
    path.write_bytes(whole.read_bytes()[:-900])
    stream = TiffStack().open(Evidence(path))
    assert stream.frame_count < 7
    assert "invalid page offset" in stream.complaints[0]
    spoilt = bytearray(whole.read_bytes())
    spoilt[1000:1400] = bytes(400)
    path.write_bytes(spoilt)
    stream = TiffStack().open(Evidence(path))
    given = np.concatenate([b.index for b in stream.blocks()]).tolist()
    assert 0 < len(given) < stream.frame_count == 7
    assert "damaged pages, left out (counted from 0)" in stream.complaints[0]
    with pytest.raises(EvidenceMissing, match="no such file"):
        read(tmp_path / "none.tif")
