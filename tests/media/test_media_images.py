"""A folder of pictures is a clip: order, depth, gaps, and honest errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from vmforensics.data import Evidence
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, FrameSizeChanged
from vmforensics_media.images import ImageSequence, PictureFolder
from vmforensics_media.video import Video

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Write pictures under given names; each holds its place in the list as grey level unless given."""

    def folder(names: list[str], pictures: list[NDArray[Any]] | None = None) -> Path:
        path = tmp_path / "frames"
        path.mkdir()
        for i, name in enumerate(names):
            iio.imwrite(path / name, pictures[i] if pictures else np.full((5, 7), i + 1, np.uint8))
        return path

    return folder


def opened(path: Path, **params: object) -> PictureFolder:
    return ImageSequence(ImageSequence.Params.model_validate(params)).open(Evidence(path))


def decoded(stream: PictureFolder) -> tuple[NDArray[np.int64], NDArray[Any]]:
    blocks = list(stream.blocks())
    return np.concatenate([b.index for b in blocks]), np.concatenate([b.luma for b in blocks])


def test_numeric_order_not_alphabetic(folder: Folder) -> None:
    stream = opened(folder([f"f{i}.png" for i in range(8, 13)]), rate="240 fps")
    index, luma = decoded(stream)
    assert luma[:, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert index.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(stream.stamps, np.arange(5) / 240)
    assert stream.declared_rate == 240
    assert stream.complaints == []


def test_gap_in_the_numbering_is_a_dropped_frame(folder: Folder) -> None:
    stream = opened(folder(["f001.png", "f002.png", "f005.png"]), rate=100)
    assert decoded(stream)[0].tolist() == [0, 1, 4]
    np.testing.assert_allclose(stream.stamps, np.arange(5) / 100)
    assert stream.frame_count == 5
    assert any("2 numbers are missing" in c for c in stream.complaints)


def test_numbering_in_steps_has_no_gaps(folder: Folder) -> None:
    stream = opened(folder(["f000.png", "f010.png", "f020.png"]))
    assert decoded(stream)[0].tolist() == [0, 1, 2]
    assert stream.facts["numbering"] == "by the last number in the name, in steps of 10"


def test_dates_are_no_frame_numbers(folder: Folder) -> None:
    stream = opened(folder(["20260101.png", "20260102.png", "20261130.png"]))
    assert stream.frame_count == 3
    assert str(stream.facts["numbering"]).startswith("consecutive")


def test_without_a_rate_there_are_no_stamps(folder: Folder) -> None:
    stream = opened(folder(["a.png", "b.png"]))
    assert np.all(np.isnan(stream.stamps))
    assert stream.declared_rate is None
    assert stream.frame_count == 2


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pgm"])
def test_8_bit_grey_is_exact(folder: Folder, suffix: str) -> None:
    pictures = [np.random.default_rng(i).integers(0, 256, (11, 13), dtype=np.uint8) for i in range(2)]
    stream = opened(folder([f"{i}.{suffix}" for i in range(2)], list(pictures)))
    np.testing.assert_array_equal(decoded(stream)[1], pictures)
    assert stream.full_scale == 255


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_exact(folder: Folder, suffix: str) -> None:
    pictures = [np.random.default_rng(i).integers(0, 65536, (11, 13), dtype=np.uint16) for i in range(2)]
    stream = opened(folder([f"{i}.{suffix}" for i in range(2)], list(pictures)))
    np.testing.assert_array_equal(decoded(stream)[1], pictures)
    assert stream.full_scale == 65535


def test_colour_is_weighted_as_stated(folder: Folder) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (11, 13, 3), dtype=np.uint8)
    stream = opened(folder(["a.png"], [picture]))
    assert np.abs(decoded(stream)[1][0] - picture @ [0.299, 0.587, 0.114]).max() <= 0.501
    assert "BT.601" in str(stream.facts["luma"])


def test_jpeg_gives_its_own_luma_plane(folder: Folder) -> None:
    stream = opened(folder(["a.jpg"], [np.full((16, 16, 3), 90, np.uint8)]))
    assert np.all(decoded(stream)[1] == 90)


def test_other_files_are_ignored_and_listed(folder: Folder) -> None:
    path = folder(["f1.png", "f2.png", "g1.png"])
    (path / "truth.json").write_text("{}")
    (path / ".hidden.png").write_bytes((path / "f1.png").read_bytes())
    stream = opened(path, pattern="f*")
    assert stream.frame_count == 2
    assert stream.facts["ignored_files"] == [".hidden.png", "g1.png", "truth.json"]
    json.dumps(stream.facts, allow_nan=False)


def test_passes_are_alike_and_span_blocks(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmforensics.data.frames.BLOCK_BYTES", 2 * 35)
    stream = opened(folder([f"{i}.png" for i in range(5)]))
    assert [b.luma[:, 0, 0].tolist() for b in stream.blocks()] == [[1, 2], [3, 4], [5]]
    assert [b.luma[:, 0, 0].tolist() for b in stream.blocks()] == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize("odd_one", [np.zeros((5, 8), np.uint8), np.zeros((5, 7), np.uint16)])
def test_pictures_of_two_kinds_are_refused_by_name_before_a_rate_is_asked_for(
    folder: Folder, odd_one: NDArray[Any]
) -> None:
    plain = np.zeros((5, 7), np.uint8)
    path = folder(["1.png", "2.png", "3.png"], [plain, plain, odd_one])
    with pytest.raises(FrameSizeChanged, match=r"3\.png"):
        opened(path)


def test_a_stray_picture_among_many_is_refused_when_its_turn_comes(folder: Folder) -> None:
    path = folder([f"{n}.png" for n in range(30)], [np.zeros((5, 7 + (n == 13)), np.uint8) for n in range(30)])
    with pytest.raises(FrameSizeChanged, match=r"13\.png"):
        list(opened(path).blocks())


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_damaged_picture_is_a_gap_and_named(folder: Folder, suffix: str) -> None:
    pictures = [np.random.default_rng(i).integers(0, 256, (32, 32), dtype=np.uint8) for i in range(4)]
    path = folder([f"{n}.{suffix}" for n in range(4)], list(pictures))
    for n in (0, 2):
        damaged = path / f"{n}.{suffix}"
        damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    stream = opened(path)
    assert [b.index.tolist() for b in stream.blocks()] == [[1, 3]]
    assert stream.frame_count == 4
    assert stream.complaints[0] == f"2 damaged pictures, left out: 0.{suffix}, 2.{suffix}"


def test_a_folder_of_nothing_but_damage_names_the_first_picture(folder: Folder) -> None:
    path = folder(["1.png", "2.png"])
    for picture in path.iterdir():
        picture.write_bytes(picture.read_bytes()[:40])
    with pytest.raises(EvidenceUnreadable, match=r"1\.png: the picture can't be decoded"):
        opened(path)


def test_folders_and_files_are_told_apart(folder: Folder, tmp_path: Path) -> None:
    path = folder(["1.png"])
    (tmp_path / "notes.txt").write_text("no picture")
    assert ImageSequence.accepts(Evidence(path))
    assert not Video.accepts(Evidence(path))
    assert ImageSequence.accepts(Evidence(path / "1.png"))
    assert not Video.accepts(Evidence(path / "1.png"))
    assert not ImageSequence.accepts(Evidence(tmp_path / "notes.txt"))
    np.testing.assert_array_equal(decoded(opened(path / "1.png"))[1], decoded(opened(path))[1])
    with pytest.raises(EvidenceUnreadable, match="no folder"):
        opened(tmp_path / "notes.txt")
    with pytest.raises(EvidenceMissing, match="no such folder"):
        opened(tmp_path / "nowhere")


def test_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("BM is no bitmap")
    with pytest.raises(EvidenceUnreadable, match="is a picture"):
        opened(tmp_path)


@pytest.mark.parametrize("params", [{"rate": 0}, {"rate": "-3 Hz"}, {"pattern": ""}, {"fps": 3}])
def test_parameters_are_checked(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ImageSequence.Params.model_validate(params)
