"""Photron recordings: every depth, the header's word against the pictures, and both files under one digest."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vmforensics
from vmforensics.custody import FindingKind, check_unchanged, digest_evidence
from vmforensics.data import Evidence
from vmforensics.errors import EvidenceChanged, EvidenceMissing, EvidenceUnreadable
from vmforensics.plugins import Registry
from vmforensics.recovery.plan import source_for
from vmforensics.testing import Camera, simulate, stage_checks
from vmforensics.testing.encode import write_photron
from vmforensics_media.photron import Photron

ROWS, COLS, FRAMES = 6, 8, 5

Write = Callable[..., Path]


def packed(codes: NDArray[Any], bits: int) -> bytes:
    """Codes without gaps, first bit first."""
    each = (codes.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.astype(np.uint8)).tobytes()


def text_header(**changes: object) -> bytes:
    said: dict[str, object] = {
        "Date": "2026/11/21",
        "Camera Type": "FASTCAM SA-Z type 2100K-M-64GB",
        "Record Rate(fps)": 12500,
        "Original Total Frame": 4000,
        "Total Frame": FRAMES,
        "Save Step": 1,
        "Image Width": COLS,
        "Image Height": ROWS,
        "Color Type": "Mono",
        "Color Bit": 16,
        "File Format": "MRaw",
        "EffectiveBit Depth": 12,
        "EffectiveBit Side": "Lower",
    } | {name.replace("_", " "): value for name, value in changes.items()}
    said["Record Rate(fps)"] = said.pop("rate", said["Record Rate(fps)"])
    lines = [f"{name} : {value}" for name, value in said.items() if value is not None]
    return (
        "#Camera Information Header\r\n" + "\r\n".join(lines) + "\r\n\r\nPFV.exe : 3.6\r\nTotal Frame : 9\r\n"
    ).encode()


def xml_header(*, bits: int = 16, extra: str = "", **image: object) -> bytes:
    said: dict[str, object] = {"width": COLS, "height": ROWS, "frames": FRAMES, "skip": 1, "type": "Mono", **image}
    text = f"""<?xml version="1.0" encoding="utf-8"?>{extra}
<cih>
 <imageFileInfo><fileFormat>Mraw</fileFormat></imageFileInfo>
 <imageDataInfo><resolution><width>{said["width"]}</width><height>{said["height"]}</height></resolution>
  <colorInfo><type>{said["type"]}</type><bit>{bits}</bit></colorInfo>
  <effectiveBit><depth>12</depth><side>Lower</side></effectiveBit></imageDataInfo>
 <frameInfo><totalFrame>{said["frames"]}</totalFrame><skipFrame>{said["skip"]}</skipFrame></frameInfo>
 <recordInfo><recordRate>30000</recordRate></recordInfo>
</cih>
"""
    return b"!!! This file can not be edited. !!!" + bytes(280) + text.encode() + b"\x02\x00<3\x1a\xff"


@pytest.fixture
def codes() -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, 256, (FRAMES, ROWS, COLS))


@pytest.fixture
def recording(tmp_path: Path) -> Write:
    """Write the two files, and return the header's path."""

    def write(header: bytes, pictures: bytes, *, ending: str = ".cih") -> Path:
        path = tmp_path / f"clip{ending}"
        path.write_bytes(header)
        (tmp_path / "clip.mraw").write_bytes(pictures)
        return path

    return write


def read(path: Path) -> tuple[Any, NDArray[Any]]:
    stream = Photron().open(Evidence(path))
    return stream, np.concatenate([block.luma for block in stream.blocks()])


@pytest.mark.parametrize(("bits", "full_scale"), [(8, 255), (10, 1023), (12, 4095), (16, 4095)])
def test_every_depth_is_read_code_by_code(recording: Write, bits: int, full_scale: int) -> None:
    codes = np.random.default_rng(bits).integers(0, full_scale + 1, (FRAMES, ROWS, COLS))
    pictures = codes.astype("<u2").tobytes() if bits == 16 else packed(codes, bits)
    depth = {"EffectiveBit_Depth": min(bits, 12) if bits != 8 else 12}
    stream, luma = read(recording(text_header(Color_Bit=bits, **depth), pictures))
    np.testing.assert_array_equal(luma, codes)
    assert luma.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert stream.full_scale == full_scale
    np.testing.assert_array_equal(stream.stamps, np.arange(FRAMES) / 12500)
    assert (stream.declared_rate, stream.stamp_resolution, stream.complaints) == (12500, 0, [])


def test_upper_bits_stay_where_they_are(recording: Write, codes: NDArray[np.int64]) -> None:
    header = text_header(EffectiveBit_Side="Higher")
    stream, luma = read(recording(header, (codes << 4).astype("<u2").tobytes()))
    np.testing.assert_array_equal(luma, codes << 4)
    assert stream.full_scale == 4095 << 4
    assert stream.facts["luma"] == "codes as stored, 12 bits, in the upper bits of 16"


def test_either_file_stands_for_both(recording: Write, codes: NDArray[np.int64]) -> None:
    header = recording(xml_header(), codes.astype("<u2").tobytes(), ending=".cihx")
    pictures = header.with_suffix(".mraw")
    for path in (header, pictures):
        stream, luma = read(path)
        np.testing.assert_array_equal(luma, codes)
        assert stream.declared_rate == 30000
        assert source_for(path, Registry()).name == "photron"
    assert digest_evidence(Evidence(header)) == digest_evidence(Evidence(pictures))


def test_both_files_are_under_the_digest(recording: Write, codes: NDArray[np.int64]) -> None:
    header = recording(text_header(), codes.astype("<u2").tobytes())
    before = digest_evidence(Evidence(header))
    names = ("clip.cih", "clip.mraw")
    listing = "".join(f"{hashlib.sha256((header.parent / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    assert before.sha256 == hashlib.sha256(listing.encode()).hexdigest()  # sha256sum clip.cih clip.mraw | sha256sum
    header.write_bytes(text_header(rate=12501))
    with pytest.raises(EvidenceChanged, match=r"'clip.cih' has other content"):
        check_unchanged(Evidence(header.with_suffix(".mraw")), before)


def test_other_recordings_in_the_folder_are_no_part_of_it(recording: Write, codes: NDArray[np.int64]) -> None:
    header = recording(text_header(), codes.astype("<u2").tobytes())
    for name in ("other.cih", "other.mraw", "clip.txt", "clip2.mraw"):
        (header.parent / name).write_bytes(b"x")
    assert [p.name for p in Evidence(header).files()] == ["clip.cih", "clip.mraw"]


def test_frames_saved_in_steps_are_slower(recording: Write, codes: NDArray[np.int64]) -> None:
    stream, _ = read(recording(text_header(Save_Step=100), codes.astype("<u2").tobytes()))
    assert stream.declared_rate == 125
    assert "one of 100 recorded frames was saved: 125 frames/s, not 12500" in stream.complaints[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Total_Frame": FRAMES - 1}, "the header isn't this file's"),
        ({"Color_Bit": 24, "Color_Type": "Color"}, "monochrome"),
        ({"Color_Type": "Bayer"}, "monochrome"),
        ({"Camera_Type": "FASTCAM SA-Z type 2100K-C-64GB", "Color_Type": "Raw"}, "monochrome"),
        ({"Color_Bit": 14}, "'Color Bit' says '14'; it must be one of 8, 10, 12, 16"),
        ({"Image_Width": None}, "'Image Width' says nothing"),
        ({"Image_Width": "1e9"}, "'Image Width'"),
        ({"Image_Width": "nan"}, "'Image Width'"),
        ({"rate": 0}, "must be a positive number"),
        ({"EffectiveBit_Side": "Middle"}, "Lower or Higher"),
        ({"EffectiveBit_Depth": 8, "Image_Height": ROWS}, None),
        ({"File_Format": "TIFF"}, "reads MRaw"),
    ],
)
def test_headers_that_lie_or_tell_of_something_else(
    recording: Write, codes: NDArray[np.int64], changes: dict[str, object], told: str | None
) -> None:
    header = recording(text_header(**changes), (codes % 256).astype("<u2").tobytes())
    if told is None:
        assert read(header)[0].full_scale == 255
        return
    with pytest.raises(EvidenceUnreadable, match=told) as error:
        read(header)
    assert "clip." in str(error.value)


def test_codes_beyond_the_depth_are_refused(recording: Write, codes: NDArray[np.int64]) -> None:
    header = recording(text_header(), (codes + 4000).astype("<u2").tobytes())
    with pytest.raises(EvidenceUnreadable, match="above 4095, the most that 12 bits in 16 can be"):
        read(header)


def test_a_picture_with_an_impossible_code_is_a_gap(recording: Write, codes: NDArray[np.int64]) -> None:
    damaged = codes.copy()
    damaged[1, 2, 3] |= 1 << 14
    stream = Photron().open(Evidence(recording(text_header(), damaged.astype("<u2").tobytes())))
    for _ in range(2):
        assert np.concatenate([b.index for b in stream.blocks()]).tolist() == [n for n in range(FRAMES) if n != 1]
        assert len(stream.complaints) == 1
    assert "1 pictures (counted from 0: 1) hold codes above 4095" in stream.complaints[0]


def test_a_recording_cut_short_gives_its_whole_pictures(recording: Write, codes: NDArray[np.int64]) -> None:
    path = recording(text_header(), codes.astype("<u2").tobytes()[:-1])
    stream = Photron().open(Evidence(path))
    np.testing.assert_array_equal(np.concatenate([b.luma for b in stream.blocks()]), codes[:-1])
    assert stream.frame_count == FRAMES - 1
    assert "cut short" in stream.complaints[0]
    path.with_suffix(".mraw").write_bytes(b"1")
    with pytest.raises(EvidenceUnreadable, match="not one is whole"):
        Photron().open(Evidence(path))


BOMB = '<!DOCTYPE cih [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"", "holds no Photron header"),
        (b"<cih>" + bytes(2**20) + b"</cih>", "larger than"),
        (b"<cih><frameInfo></cih>", "isn't well-formed"),
        (xml_header().replace(b"<cih>", b"<cih>" + BOMB.encode()), "declarations"),
        (xml_header().replace(b"30000", b"&a;"), "isn't well-formed"),
        (xml_header().replace(b"<totalFrame>5", b"<totalFrame>-5"), "frameInfo/totalFrame"),
        (xml_header(type="\xff").replace("\xff".encode(), b"\xff"), "isn't well-formed"),
    ],
)
def test_hostile_xml(recording: Write, codes: NDArray[np.int64], header: bytes, told: str) -> None:
    with pytest.raises(EvidenceUnreadable, match=told):
        read(recording(header, codes.astype("<u2").tobytes(), ending=".cihx"))


def test_a_document_type_before_the_header_is_never_read(recording: Write, codes: NDArray[np.int64]) -> None:
    _, luma = read(recording(xml_header(extra=BOMB), codes.astype("<u2").tobytes(), ending=".cihx"))
    np.testing.assert_array_equal(luma, codes)


def test_a_missing_or_ambiguous_partner_is_named(recording: Write, codes: NDArray[np.int64]) -> None:
    header = recording(text_header(), codes.astype("<u2").tobytes())
    header.with_suffix(".cihx").write_bytes(xml_header())
    with pytest.raises(EvidenceUnreadable, match=r"clip.cih, clip.cihx"):
        read(header.with_suffix(".mraw"))
    assert read(header)[0].declared_rate == 12500
    header.with_suffix(".cihx").unlink()
    header.with_suffix(".mraw").unlink()
    with pytest.raises(EvidenceMissing, match=r"no file of pictures \(.mraw\)"):
        read(header)
    header.with_suffix(".mraw").touch()
    header.unlink()
    with pytest.raises(EvidenceMissing, match=r"no header \(.cih or .cihx\)"):
        read(header.with_suffix(".mraw"))


def test_the_kit(recording: Write, codes: NDArray[np.int64]) -> None:
    header = recording(text_header(), codes.astype("<u2").tobytes())
    for path in (header, header.with_suffix(".mraw")):
        path.chmod(stat.S_IRUSR)
    for _, check in stage_checks(Photron, evidence=header):
        check()


@pytest.mark.parametrize(
    ("name", "shape", "full_scale", "rate"),
    [
        ("ball_12bit.cihx", (15, 384, 384), 4095, 30000),
        ("beam.cihx", (4, 80, 1024), 4095, 20),
        ("data_showcase.cih", (75, 40, 640), 255, 150),
    ],
)
def test_recordings_of_real_cameras(
    footage: Path, tmp_path: Path, name: str, shape: tuple[int, ...], full_scale: int, rate: float
) -> None:
    for file in Evidence(footage / "formats" / name).files():
        shutil.copy(file, tmp_path)
    stream, luma = read(tmp_path / name)
    assert (luma.shape, stream.full_scale, stream.declared_rate) == (shape, full_scale, rate)
    codes = luma.astype(np.float64)
    neighbours = np.abs(np.diff(codes, axis=2)).mean()  # wrong packing turns a picture into noise
    assert neighbours < 0.5 * np.abs(codes - codes[..., ::-1]).mean()
    assert np.corrcoef(codes[0].ravel(), codes[1].ravel())[0, 1] > 0.9


def test_a_recording_is_recovered_and_either_file_is_missed_if_it_changes(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    path = tmp_path / "evidence" / "clip.cih"
    camera = Camera(width=64, height=48, fps=2000, frames=200, bits=12)
    write_photron(simulate(camera, scene="print", sound="tone:300", rms_px=0.05), path)
    outcome = vmforensics.recover_clip(path, tmp_path / "run", shutter="global")
    assert outcome.result["verdict"] == "signal"
    assert outcome.result["clock"]["frame_rate_hz"] == 2000
    assert outcome.result["evidence"]["files"] == 2
    assert vmforensics.verify(outcome.folder).ok
    with path.open("a") as header:
        header.write("\n")
    (finding,) = vmforensics.verify(outcome.folder).findings
    assert (finding.kind, "'clip.cih' has other content" in finding.message) == (FindingKind.EVIDENCE_CHANGED, True)


def test_a_cine_says_how_many_bits_the_camera_gave(footage: Path) -> None:
    """Packed codes of 10 bits, which FFmpeg spreads over 16."""
    clip = footage / "formats" / "data_small_cine.cine"
    opened = Registry().create("frame_source", "video").open(Evidence(clip))  # type: ignore[attr-defined]
    assert (opened.facts["bit_depth"], opened.full_scale) == (10, 65535)
    assert "10 bits, spread over 16" in opened.facts["luma"]
    codes = np.concatenate([block.luma for block in opened.blocks()])
    assert len(np.unique(codes)) <= 1024
