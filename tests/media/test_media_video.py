"""Video files: every frame, every stamp, and honest errors."""

from __future__ import annotations

import hashlib
import json
import logging
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Evidence
from vmforensics.errors import (
    EvidenceMissing,
    EvidenceUnreadable,
    FrameSizeChanged,
    NoVideo,
    TooFewFrames,
    VmforensicsError,
)
from vmforensics_media.decoder_log import DecoderLog
from vmforensics_media.video import Video, VideoFile

Write = Callable[..., Path]
Clip = list[NDArray[np.uint8]]


def opened(path: Path) -> VideoFile:
    return Video().open(Evidence(path))


def decoded(stream: VideoFile) -> tuple[NDArray[np.int64], NDArray[Any]]:
    blocks = list(stream.blocks())
    return np.concatenate([b.index for b in blocks]), np.concatenate([b.luma for b in blocks])


def digest(stream: VideoFile) -> str:
    index, luma = decoded(stream)
    return hashlib.sha256(index.tobytes() + luma.tobytes()).hexdigest()


def packets(path: Path) -> list[tuple[int, int]]:
    """Byte position and size of each video packet of an AVI file."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos is not None]


def spoil(path: Path, position: int, size: int) -> None:
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes(size)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("pixel_format", "source_format", "bits"),
    [("gray", "gray", 8), ("gray10le", "gray10le", 10), ("gray12le", "gray12le", 12), ("gray16le", "gray16le", 16)],
)
def test_lossless_clip_of_odd_size_comes_out_as_it_went_in(
    write: Write, pixel_format: str, source_format: str, bits: int
) -> None:
    rng = np.random.default_rng(0)
    dtype = np.uint8 if bits == 8 else np.uint16
    frames = [rng.integers(0, 2**bits, (37, 53), dtype=dtype) for _ in range(3)]
    stream = opened(write("odd.mkv", frames, "ffv1", pixel_format, source_format=source_format))
    index, luma = decoded(stream)
    assert index.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(luma, frames)
    assert luma.dtype == dtype
    assert (stream.height, stream.width, stream.full_scale) == (37, 53, 2**bits - 1)


def test_limited_range_is_not_stretched(tmp_path: Path) -> None:
    planes = np.full((24, 16), 128, np.uint8)  # as yuv420p in one array: 16 rows of luma, 8 of chroma
    planes[:16] = np.linspace(16, 235, 256).reshape(16, 16)
    path = tmp_path / "limited.mkv"
    with av.open(str(path), "w") as container:
        out = container.add_stream("ffv1", rate=30)
        out.width, out.height, out.pix_fmt = 16, 16, "yuv420p"
        container.mux([*out.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")), *out.encode()])
    np.testing.assert_array_equal(decoded(opened(path))[1][0], planes[:16])


def test_bottom_up_picture_is_turned_right_side_up(write: Write) -> None:
    frames = [np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)]
    options = {"source_format": "bgr24"}
    top_down = write("down.avi", frames, "rawvideo", "bgr24", **options)
    bottom_up = write("up.avi", frames, "rawvideo", "bgr24", container_options={"flipped_raw_rgb": "1"}, **options)
    with av.open(str(bottom_up)) as container:  # the same bytes, but declared to start with the lowest row
        assert next(container.decode(video=0)).planes[0].line_size < 0
    np.testing.assert_array_equal(decoded(opened(bottom_up))[1], decoded(opened(top_down))[1][:, ::-1])


def test_frames_that_are_stored_out_of_order_get_their_own_stamps(write: Write, moving: Clip) -> None:
    options = {"crf": "1", "bf": "3", "g": "12"}
    stream = opened(write("b.mp4", moving, "libx264", "yuvj420p", codec_options=options))
    index, luma = decoded(stream)
    assert index.tolist() == list(range(40))
    np.testing.assert_allclose(stream.stamps, np.arange(40) / 30, atol=1e-9)
    error = [np.abs(luma[i].astype(float) - moving[i]).mean() for i in range(40)]
    assert max(error) < 3
    kinds = [kind for block in stream.blocks() for kind in block.frame_types]
    assert set(kinds) == {"I", "P", "B"}
    assert kinds[0] == "I"
    assert stream.declared_rate == 30
    assert stream.complaints == []


def test_variable_stamps_are_kept(write: Write, moving: Clip) -> None:
    pts = [0, 40, 75, 120, 300]
    stream = opened(write("vfr.mkv", moving[:5], "ffv1", "gray", rate=1000, pts=pts))
    np.testing.assert_allclose(stream.stamps, np.array(pts) / 1000)
    assert stream.stamp_resolution == 1e-3
    assert decoded(stream)[0].tolist() == [0, 1, 2, 3, 4]


def test_frames_that_share_a_rounded_stamp_stay_apart(write: Write, moving: Clip) -> None:
    stream = opened(write("fast.mkv", moving, "ffv1", "gray", rate=2200))
    assert np.sum(np.diff(stream.stamps) == 0) > 10
    index, luma = decoded(stream)
    assert index.tolist() == list(range(40))
    np.testing.assert_array_equal(luma, moving)


def test_frames_that_share_a_stamp_come_as_they_are_decoded_not_as_they_are_stored(write: Write, moving: Clip) -> None:
    """Where a B frame has the stamp of a frame that is stored before it and shown after it."""
    frames = [np.kron(frame, np.ones((4, 4), np.uint8)) for frame in moving]
    options = {"bf": "3", "b_strategy": "0", "crf": "1"}
    coarse, fine = (
        write(f"b{end}", frames, "libx264", "yuv420p", rate=2200, codec_options=options) for end in (".mkv", ".mp4")
    )
    (index, luma), (whole, exact) = decoded(stream := opened(coarse)), decoded(opened(fine))
    assert np.sum(np.diff(stream.stamps) == 0) > 10
    assert index.tolist() == whole.tolist() == list(range(40))
    np.testing.assert_array_equal(luma, exact)
    assert stream.complaints == []
    orders = [[c.order for block in opened(path).coded_blocks() for c in block.coding] for path in (coarse, fine)]
    assert orders[0] == orders[1] != sorted(orders[0])


def test_bare_stream_has_no_stamps(write: Write, moving: Clip) -> None:
    stream = opened(write("bare.h264", moving, "libx264", "yuv420p"))
    assert stream.frame_count == 40
    assert np.all(np.isnan(stream.stamps))
    assert stream.stamp_resolution == 0
    assert stream.declared_rate == 30  # from the stream's own header; FFmpeg would claim 25
    assert decoded(stream)[0].tolist() == list(range(40))


def test_undecodable_frame_is_missing_and_complained_of(
    write: Write, moving: Clip, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write("hole.avi", moving, "mjpeg", "yuvj420p")
    position, size = packets(path)[7]
    spoil(path, position, size)
    stream = opened(path)
    index, _ = decoded(stream)
    assert stream.frame_count == 40
    assert index.tolist() == [i for i in range(40) if i != 7]
    assert any("mjpeg" in c or "decoded" in c for c in stream.complaints)
    assert capfd.readouterr() == ("", "")


def test_damaged_clip_decodes_to_the_same_frames_every_time(write: Write, moving: Clip) -> None:
    path = write("damaged.avi", moving, "mpeg4", "yuv420p", codec_options={"bf": "2", "g": "10"})
    for position, size in packets(path)[5:30:6]:
        spoil(path, position + size // 3, 4)
    streams = [opened(path) for _ in range(4)]
    assert len({digest(s) for s in streams}) == 1
    assert len({tuple(s.complaints) for s in streams}) == 1
    assert streams[0].complaints


def test_passes_are_alike_and_span_blocks(write: Write, moving: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("again.mkv", moving, "ffv1", "gray")
    monkeypatch.setattr("vmforensics.data.frames.BLOCK_BYTES", 7 * 64 * 48)
    stream = opened(path)
    assert [len(b.index) for b in stream.blocks()] == [7, 7, 7, 7, 7, 5]
    assert digest(stream) == digest(stream)


def test_blocks_that_were_handed_out_are_not_overwritten(
    write: Write, moving: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmforensics.data.frames.BLOCK_BYTES", 1)
    blocks = list(opened(write("keep.mkv", moving, "ffv1", "gray")).blocks())
    np.testing.assert_array_equal(np.concatenate([b.luma for b in blocks]), moving)


def test_abandoned_pass_closes_the_file_and_ffmpegs_log(write: Write, moving: Clip) -> None:
    path = write("abandoned.mkv", moving, "ffv1", "gray")
    before = len(list(Path("/proc/self/fd").iterdir()))
    blocks = opened(path).blocks()
    next(blocks)
    blocks.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert av.logging.get_level() is None
    assert not any(isinstance(h, DecoderLog) for h in logging.getLogger("libav").handlers)


def test_facts_are_json_and_say_what_the_file_is(write: Write, moving: Clip) -> None:
    stream = opened(write("facts.mp4", moving, "libx264", "yuv420p", codec_options={"g": "10"}))
    facts = json.loads(json.dumps(stream.facts, allow_nan=False))
    assert facts["codec"] == "h264"
    assert facts["pixel_format"] == "yuv420p"
    assert (facts["width"], facts["height"], facts["bit_depth"]) == (64, 48, 8)
    assert facts["time_base"] == "1/15360"
    assert (facts["frames"], facts["keyframes"], facts["frames_cut_by_edit_list"]) == (40, 4, 0)
    assert facts["rotation_degrees"] == 0
    assert facts["audio_streams"] == 0
    assert "Lavf" in facts["encoder"]


def test_long_metadata_is_bounded(tmp_path: Path, moving: Clip) -> None:
    path = tmp_path / "tags.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = "x" * 5000
        out = container.add_stream("ffv1", rate=30)
        out.width, out.height, out.pix_fmt = 64, 48, "gray"
        container.mux([*out.encode(av.VideoFrame.from_ndarray(moving[0], format="gray")), *out.encode()])
    metadata = opened(path).facts["metadata"]
    assert isinstance(metadata, dict)
    assert any("5000 characters" in text for text in metadata.values())
    assert len(json.dumps(metadata)) < 2000


def test_change_of_frame_size_names_the_frame(write: Write, moving: Clip, tmp_path: Path) -> None:
    small = [m[:32, :32] for m in moving[:3]]
    parts = [write(f"{n}.mjpeg", f, "mjpeg", "yuvj420p") for n, f in (("a", moving[:4]), ("b", small))]
    path = tmp_path / "change.mjpeg"
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    assert Video.accepts(Evidence(path))
    with pytest.raises(FrameSizeChanged, match=r"frame 4 is 32x32 .* 64x48"):
        list(opened(path).blocks())


def test_truncated_clip_gives_what_it_can(write: Write, moving: Clip) -> None:
    path = write("cut.mkv", moving, "ffv1", "gray")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stream = opened(path)
    index, luma = decoded(stream)
    assert 5 < len(index) < 35
    np.testing.assert_array_equal(luma[:5], moving[:5])
    assert any("ended prematurely" in c for c in stream.complaints)


def test_truncated_clip_misses_what_its_index_announces(write: Write, moving: Clip) -> None:
    path = write("cut.mp4", moving, "libx264", "yuv420p", container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 4])
    stream = opened(path)
    assert stream.frame_count < 40
    assert any("announces 40 frames" in c for c in stream.complaints)


def test_path_is_never_a_protocol(write: Write, moving: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("plain.mkv", moving[:2], "ffv1", "gray").rename(tmp_path / "concat:a%03d.mkv")
    assert opened(path).frame_count == 2
    monkeypatch.chdir(tmp_path)
    assert opened(Path("concat:a%03d.mkv")).frame_count == 2


class TestBadEvidence:
    """Each kind of bad file has its own error, which names the file."""

    def test_missing(self, tmp_path: Path) -> None:
        assert Video.accepts(Evidence(tmp_path / "no.mp4"))
        with pytest.raises(EvidenceMissing, match=r"no\.mp4"):
            opened(tmp_path / "no.mp4")

    def test_folder(self, tmp_path: Path) -> None:
        assert not Video.accepts(Evidence(tmp_path))
        with pytest.raises(EvidenceUnreadable, match="folder"):
            opened(tmp_path)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"", "empty"), (b"some notes\n" * 50, "no recording"), (bytes(range(256)) * 40, "can't open it as video")],
    )
    def test_no_video(self, tmp_path: Path, content: bytes, reason: str) -> None:
        path = tmp_path / "note.txt"
        path.write_bytes(content)
        with pytest.raises(EvidenceUnreadable, match=rf"note\.txt: .*{reason}"):
            opened(path)

    def test_playlist_is_not_followed(self, write: Write, moving: Clip, tmp_path: Path) -> None:
        write("other.ts", moving, "libx264", "yuv420p")
        path = tmp_path / "list.m3u8"
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.3,\nother.ts\n#EXT-X-ENDLIST\n")
        with pytest.raises(EvidenceUnreadable, match=r"list\.m3u8"):
            opened(path)

    def test_beginning_only(self, write: Write, moving: Clip) -> None:
        path = write("head.mp4", moving, "libx264", "yuv420p")
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(EvidenceUnreadable, match=r"head\.mp4: .*FFmpeg says"):
            opened(path)

    def test_audio_only(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.wav"
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(16000))
        with pytest.raises(NoVideo, match="no moving picture, but audio"):
            opened(path)

    def test_still_picture(self, write: Write, moving: Clip) -> None:
        path = write("still.png", moving[:1], "png", "gray")
        assert not Video.accepts(Evidence(path))
        with pytest.raises(EvidenceUnreadable, match="still picture"):
            opened(path)

    def test_no_frame_at_all(self, tmp_path: Path) -> None:
        path = tmp_path / "none.avi"
        with av.open(str(path), "w") as container:
            out = container.add_stream("mpeg4", rate=30)
            out.width, out.height, out.pix_fmt = 16, 16, "yuv420p"
            container.start_encoding()
        with pytest.raises(TooFewFrames, match="no frame"):
            opened(path)

    def test_nothing_decodable(self, write: Write, moving: Clip) -> None:
        path = write("dead.avi", moving[:3], "mjpeg", "yuvj420p")
        for position, size in packets(path):
            spoil(path, position, size)
        with pytest.raises(EvidenceUnreadable, match="none of its 3 mjpeg frames"):
            opened(path)

    def test_forty_random_corruptions_end_in_frames_or_in_an_error_of_ours(
        self, write: Write, moving: Clip, tmp_path: Path
    ) -> None:
        clips = [
            write("f.mp4", moving[:15], "libx264", "yuv420p"),
            write("f.mkv", moving[:15], "libx264", "yuv420p"),
            write("f.avi", moving[:15], "mpeg4", "yuv420p"),
            write("f.ts", moving[:15], "mpeg2video", "yuv420p"),
        ]
        rng = np.random.default_rng(7)
        outcomes = {"frames": 0, "error": 0}
        for k in range(40):
            clip = clips[k % len(clips)]
            data = bytearray(clip.read_bytes())
            if k % 3 == 0:
                del data[rng.integers(1, len(data)) :]
            else:
                for _ in range(int(rng.integers(1, 20))):
                    start = int(rng.integers(len(data)))
                    data[start : start + 8] = rng.bytes(len(data[start : start + 8]))
            path = tmp_path / f"fuzz{clip.suffix}"
            path.write_bytes(data)
            try:
                stream = opened(path)
                index, _ = decoded(stream)
                assert np.all(np.diff(index) > 0)
                assert 0 <= index[0] <= index[-1] < stream.frame_count
                outcomes["frames"] += 1
            except VmforensicsError as error:
                outcomes["error"] += path.name in str(error)
        assert sum(outcomes.values()) == 40
        assert min(outcomes.values()) > 5


class TestRealFootage:
    """Files from real cameras."""

    @pytest.mark.parametrize(
        ("name", "frames", "rows", "cols", "full_scale"),
        [
            ("forks/tuning_hz128_fps250_50-1_640x420.mp4", 888, 420, 640, 255),
            ("strings/guitar_600fps.mp4", 300, 192, 432, 255),
            ("formats/data_small_cine.cine", 235, 32, 256, 65535),
        ],
    )
    def test_counts(self, footage: Path, name: str, frames: int, rows: int, cols: int, full_scale: int) -> None:
        stream = opened(footage / name)
        assert (stream.height, stream.width, stream.full_scale) == (rows, cols, full_scale)
        assert sum(len(b.index) for b in stream.blocks()) == stream.frame_count == frames

    def test_rotation_is_reported_and_not_applied(self, footage: Path) -> None:
        stream = opened(footage / "phone" / "guitar_bflat.mov")
        assert stream.facts["rotation_degrees"] == -90
        assert (stream.height, stream.width) == (1080, 1920)
        assert stream.frame_count == 108
        assert stream.facts["frames_cut_by_edit_list"] == 15
        assert stream.declared_rate == 30
