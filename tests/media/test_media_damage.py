"""Damaged and odd video files: what is lost is a gap, what is sound comes out, and both are said."""

from __future__ import annotations

import hashlib
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.custody import WatchedStream
from vmforensics.data import Evidence, Region, Shutter
from vmforensics.errors import EvidenceUnreadable, NoVideo, Unsuitable
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.timing import TimingVerdict, judge_clock
from vmforensics_media.decoder_log import DecoderLog
from vmforensics_media.decoding import Soundness, _Damage, decoded_frames
from vmforensics_media.frame_numbers import FrameNumbers
from vmforensics_media.stabilisation import gopro_settings, stabilisation
from vmforensics_media.video import Video, VideoFile

Write = Callable[..., Path]
Clip = list[NDArray[np.uint8]]

H264 = {"g": "10", "bf": "2", "threads": "1"}


def opened(path: Path, **params: object) -> VideoFile:
    return Video(Video.Params.model_validate(params)).open(Evidence(path))


def decoded(stream: VideoFile) -> dict[int, NDArray[Any]]:
    return {int(i): luma for b in stream.blocks() for i, luma in zip(b.index, b.luma, strict=True)}


def remuxed(path: Path, to: str, *, without: Iterable[int] = (), shift: dict[int, int] | None = None) -> Path:
    """A copy without some packets, and with others' stamps moved, counted in the order of the file."""
    copy = path.with_name(to)
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for n, packet in enumerate(source.demux(video=0)):
            if packet.size and n not in set(without):
                moved = (shift or {}).get(n, 0)
                if moved and packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                packet.stream = stream
                target.mux(packet)
    return copy


class TestLoss:
    """Frames that are lost, and those that depend on them."""

    def test_after_a_lost_frame_nothing_is_believed_before_the_next_key_frame(self, write: Write, moving: Clip) -> None:
        whole = write("whole.mp4", moving, "libx264", "yuv420p", codec_options=H264 | {"bf": "0"})
        sound = decoded(opened(whole))
        stream = opened(remuxed(whole, "lost.mkv", without=[13]))
        given = decoded(stream)
        assert list(given) == [*range(13), *range(19, 39)]  # a position less, as the packet isn't on file
        assert all(np.array_equal(luma, sound[k + (k >= 13)]) for k, luma in given.items())
        found = [c for c in stream.complaints if "left out" in c]
        assert found == [
            "damaged frames, patched by the decoder, left out: 13 (1 of 39, counted from 0)",
            "frames that depend on damaged ones, left out: 14-18 (5 of 39, counted from 0)",
        ]
        clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=30)
        assert clock.missing == 1

    def test_patched_frames_come_on_request(self, write: Write, moving: Clip) -> None:
        whole = write("whole.mp4", moving, "libx264", "yuv420p", codec_options=H264 | {"bf": "0"})
        stream = opened(remuxed(whole, "lost.mkv", without=[13]), repaired=True)
        assert list(decoded(stream)) == list(range(39))
        assert any(
            c.startswith("damaged frames, patched by the decoder, used as asked for: 13") for c in stream.complaints
        )

    def test_frames_before_the_first_key_frame_are_lost(self, write: Write, moving: Clip) -> None:
        whole = write("whole.mp4", moving, "libx264", "yuv420p", codec_options=H264)
        stream = opened(remuxed(whole, "beheaded.mkv", without=[0]))
        assert list(decoded(stream)) == list(range(9, 39))
        assert "frames that couldn't be decoded at all: 0-8 (9 of 39, counted from 0)" in stream.complaints

    def test_a_damaged_frame_of_an_intra_codec_spoils_no_other(self, write: Write, moving: Clip) -> None:
        path = write("hole.avi", moving, "mjpeg", "yuvj420p")
        with av.open(str(path)) as container:
            position, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][7]
        data = bytearray(path.read_bytes())
        data[position : position + size] = bytes(size)
        path.write_bytes(data)
        stream = opened(path)
        assert list(decoded(stream)) == [n for n in range(40) if n != 7]
        assert "frames that couldn't be decoded at all: 7 (1 of 40, counted from 0)" in stream.complaints

    def test_lost_network_packets_are_noticed(self, write: Write, moving: Clip) -> None:
        path = write("cut.ts", moving, "mpeg2video", "yuv420p", codec_options={"g": "10", "bf": "0", "qmin": "1"})
        sound = decoded(opened(path))
        data = path.read_bytes()
        start = len(data) // 2 // 188 * 188
        path.write_bytes(data[:start] + data[start + 2 * 188 :])
        stream = opened(path)
        given = decoded(stream)
        assert 25 < len(given) < 40
        assert all(any(np.array_equal(luma, other) for other in sound.values()) for luma in given.values())
        assert any("patched by the decoder" in c for c in stream.complaints)

    def test_a_frame_shown_before_the_key_frame_may_depend_on_what_came_before_it(self) -> None:
        damage = _Damage(predicts=True)
        for ordinal, (pts, key, faulty) in enumerate(
            [(0, True, False), (3, False, True), (6, True, False), (4, False, False), (9, False, False)]
        ):
            packet: Any = av.Packet(b"x")
            packet.pts, packet.opaque, packet.is_keyframe = pts, ordinal, key
            damage.look_at(packet, faulty=faulty)
        assert [damage.of(n).value for n in range(5)] == ["sound", "damaged", "sound", "dependent", "sound"]

    def test_damage_is_found_alike_every_time(self, write: Write, moving: Clip) -> None:
        path = remuxed(write("w.mp4", moving, "libx264", "yuv420p", codec_options=H264), "l.mkv", without=[15, 28])
        known = {"bereft": frozenset({15, 27})}
        seen = {
            tuple(
                (d.ordinal, d.soundness, bytes(d.frame.planes[0])) for d in decoded_frames(path, DecoderLog(), **known)
            )
            for _ in range(3)
        }
        assert len(seen) == 1
        assert {soundness for _, soundness, _ in seen.pop()} == set(Soundness)


@pytest.mark.parametrize("name", ["annex-b.ts", "with-lengths.mp4", "high-10.mkv"])
def test_h264s_own_numbers_tell_of_lost_frames_and_of_no_others(write: Write, moving: Clip, name: str) -> None:
    pixel_format = "yuv420p10le" if "10" in name else "yuv420p"
    options = {"g": "30", "bf": "3", "threads": "1", "x264-params": "scenecut=0:ref=4"}
    with av.open(str(write(name, moving, "libx264", pixel_format, codec_options=options))) as container:
        extradata = container.streams.video[0].codec_context.extradata
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    every = FrameNumbers(extradata)
    assert not any(every.lost_before(data) for data, _ in packets)
    told = 0
    for missing in range(1, len(packets) - 1):
        numbers = FrameNumbers(extradata)
        found = [n for n, (data, _) in enumerate(packets) if n != missing and numbers.lost_before(data)]
        assert found in ([], [missing + 1])  # nothing refers to the frame, or the next one is told
        told += len(found)
    assert told >= 10
    for size in range(60):  # a damaged one says less, and that's all
        FrameNumbers(packets[0][0][:size]).lost_before(packets[1][0][:size])
    FrameNumbers(b"\0\0\1\x67\x64" + bytes(900)).lost_before(packets[1][0])


class TestStamps:
    """Time stamps that say little, or nonsense."""

    def test_a_recording_whose_stamps_start_anew_keeps_the_order_of_its_frames(
        self, write: Write, moving: Clip
    ) -> None:
        path = write("twice.ts", moving, "libx264", "yuv420p", codec_options=H264)
        once = list(decoded(opened(path)).values())
        path.write_bytes(path.read_bytes() * 2)
        stream = opened(path)
        given = decoded(stream)
        assert {n for n in range(80) if n not in given} <= {37, 38, 39}  # at the seam
        assert all(np.array_equal(luma, (once * 2)[n]) for n, luma in given.items())
        assert stream.complaints[0].startswith("the time stamps run backwards")
        clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
        assert (clock.verdict, clock.rate) == (TimingVerdict.BROKEN, 30)

    def test_bare_streams_keep_the_place_of_what_is_lost(self, write: Write, moving: Clip) -> None:
        path = write("whole.h264", moving, "libx264", "yuv420p", codec_options=H264 | {"bf": "0"})
        with av.open(str(path)) as container:
            packets = [bytes(p) for p in container.demux(video=0) if p.size]
        packets[12] = packets[12][:9] + bytes(len(packets[12]) - 9)
        path.write_bytes(b"".join(packets))
        given = list(decoded(opened(path)))
        assert given[:12] == list(range(12))
        assert given[12] in (19, 20)  # the key frame after it
        assert len(given) == 32

    def test_dahua_recordings_are_read(self, write: Write, moving: Clip) -> None:
        bare = write("in.h264", moving, "libx264", "yuv420p", codec_options=H264 | {"bf": "0"})
        path = dav(bare, bare.with_suffix(".dav"))
        stream = opened(path)
        np.testing.assert_array_equal(list(decoded(stream).values()), list(decoded(opened(bare)).values()))
        clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
        assert (clock.verdict, clock.rate) == (TimingVerdict.EXACT, 25)


def dav(bare: Path, path: Path) -> Path:
    """A Dahua recording of a bare H.264 stream at 25 frames/s: each packet between "DHAV" and "dhav"."""
    extension = bytes([0x80, 0, 8, 6, 0x81, 0, 2, 25])  # size in units of 8 px; H.264; frames/s
    with av.open(str(bare)) as container, path.open("wb") as file:
        for n, packet in enumerate(p for p in container.demux(video=0) if p.size):
            length = 24 + len(extension) + packet.size + 8
            head = bytes([0xFD if packet.is_keyframe else 0xFC, 0, 0, 0]) + n.to_bytes(4, "little")
            date = (26 << 26) | (1 << 22) | (1 << 17) | (n // 25)
            time = date.to_bytes(4, "little") + (40 * n).to_bytes(2, "little") + bytes([len(extension), 0])
            file.write(b"DHAV" + head + length.to_bytes(4, "little") + time + extension + bytes(packet))
            file.write(b"dhav" + length.to_bytes(4, "little"))
    return path


class TestInterlaced:
    """Rows of two instants."""

    @pytest.fixture
    def woven(self, write: Write, moving: Clip) -> Path:
        options = H264 | {"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "1"}
        return write("woven.mp4", moving, "libx264", "yuv420p", codec_options=options)

    @staticmethod
    def inspected(stream: VideoFile) -> InspectedStream:
        return InspectedStream(WatchedStream(stream), Shutter(), Region(0, 0, stream.width, stream.height))

    def test_a_recovery_is_refused_with_the_way_out(self, woven: Path) -> None:
        stream = opened(woven)
        assert stream.facts["interlaced"] is True
        assert len(decoded(stream)) == 40  # to look at, not to recover from
        with pytest.raises(Unsuitable, match=r"half a frame apart.*fields: top") as refused:
            self.inspected(stream)
        assert "different instants" in refused.value.message

    @pytest.mark.parametrize(("field", "rows"), [("top", slice(0, None, 2)), ("bottom", slice(1, None, 2))])
    def test_one_field_is_a_picture_of_half_the_height(self, woven: Path, field: str, rows: slice) -> None:
        both, one = opened(woven, fields="both"), opened(woven, fields=field)
        assert (one.height, one.width, both.height) == (24, 64, 48)
        expected = decoded(both)
        for n, luma in decoded(one).items():
            np.testing.assert_array_equal(luma, expected[n][rows])
        self.inspected(one)
        self.inspected(both)
        assert one.facts["rows_taken"] == field
        assert one.complaints[0] == f"the file says that it is interlaced; the rows of the {field} field were taken"


def test_several_moving_pictures_are_told_and_can_be_chosen(tmp_path: Path, moving: Clip) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for size in (64, 32):
            stream = container.add_stream("ffv1", rate=30)
            stream.width, stream.height, stream.pix_fmt = size, 32, "gray"
            streams.append(stream)
        for n, picture in enumerate(moving[:5]):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture[:32, : stream.width].copy(), format="gray")
                frame.pts, frame.time_base = n, Fraction(1, 30)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    usual, other = opened(path), opened(path, stream=1)
    assert (usual.width, other.width) == (64, 32)
    np.testing.assert_array_equal(decoded(other)[4], moving[4][:32, :32])
    assert usual.complaints == [
        "the file holds 2 moving pictures: stream 0 was taken; the source's parameter 'stream' takes 1"
    ]
    assert usual.facts["moving_pictures"] == ["stream 0: ffv1 64x32", "stream 1: ffv1 32x32"]
    assert (usual.facts["stream_taken"], other.facts["stream_taken"]) == (0, 1)
    data = path.read_bytes()
    second = data.index(b"V_FFV1", data.index(b"V_FFV1") + 1)
    path.write_bytes(data[:second] + b"V_NONE" + data[second + 6 :])
    assert opened(path).facts["moving_pictures"] == ["stream 0: ffv1 64x32", "stream 1: FFmpeg has no decoder for it"]
    with pytest.raises(EvidenceUnreadable, match="no decoder"):
        opened(path, stream=1)
    with pytest.raises(NoVideo, match="its stream 7 is no moving picture; 0 and 1 are"):
        opened(path, stream=7)


class TestMemory:
    """Whatever a file claims."""

    def test_a_claimed_size_beyond_reason_is_refused(
        self, write: Write, moving: Clip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write("large.mkv", moving[:2], "ffv1", "gray")
        monkeypatch.setattr("vmforensics_media.container.MOST_PIXELS", 64 * 48 - 1)
        with pytest.raises(EvidenceUnreadable, match="claim 64x48 px; 3071 pixels at most"):
            opened(path)

    def test_a_picture_that_grows_beyond_reason_is_not_decoded(
        self, write: Write, moving: Clip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = write("a.mjpeg", [m[:32, :32] for m in moving[:4]], "mjpeg", "yuvj420p")
        large = write("b.mjpeg", moving[:4], "mjpeg", "yuvj420p")
        path = small.with_name("grows.mjpeg")
        path.write_bytes(small.read_bytes() + large.read_bytes())
        monkeypatch.setattr("vmforensics_media.container.MOST_PIXELS", 2100)
        stream = opened(path)
        assert list(decoded(stream)) == [0, 1, 2, 3]
        assert any("couldn't be decoded at all: 4-7" in c for c in stream.complaints)

    def test_a_file_of_gigabytes_is_never_read_as_a_whole(self, write: Write, moving: Clip) -> None:
        path = write("large.mp4", moving, "libx264", "yuv420p")
        data = path.read_bytes()
        index = data.index(b"moov") - 4
        gap = 6 * 2**30
        with path.open("wb") as file:  # an empty box of 6 GiB between pictures and index; the file is sparse
            file.write(data[:index] + (1).to_bytes(4) + b"free" + gap.to_bytes(8))
            file.seek(gap - 16, 1)
            file.write(data[index:])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stream = opened(path)
        assert len(decoded(stream)) == 40
        assert path.stat().st_size > gap
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB


class TestStabilisation:
    """What files say of it."""

    @pytest.mark.parametrize(
        ("tags", "told"),
        [
            ({"comment": "exported by Gyroflow v1.6"}, "'exported by Gyroflow v1.6'"),
            ({"VideoStabilization": "On"}, "VideoStabilization ('On')"),
            ({"VideoStabilization": "off"}, ""),
            ({"com.apple.quicktime.model": "iPhone 13"}, "iPhone 13: its camera app stabilises"),
            ({"com.android.version": "14"}, "an Android phone"),
            ({"title": "a stable"}, ""),
        ],
    )
    def test_tags(self, tmp_path: Path, tags: dict[str, str], told: str) -> None:
        path = tmp_path / "empty.mp4"
        path.write_bytes(b"")
        said = stabilisation(path, tags)
        assert told in said
        assert bool(told) == bool(said)

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({b"EISE": b"Y", b"EISA": b"HS EIS"}, "the camera (GoPro) stabilised the pictures (HS EIS)"),
            ({b"EISE": b"Y"}, "the camera (GoPro) stabilised the pictures: "),
            ({b"EISE": b"N", b"EISA": b"N/A"}, ""),
            ({b"EISA": b"OFF"}, ""),
        ],
    )
    def test_a_gopros_own_settings(self, write: Write, moving: Clip, settings: dict[bytes, bytes], told: str) -> None:
        path = write("gopro.mp4", moving[:3], "libx264", "yuv420p")
        entries = b"".join(
            key + b"c" + bytes([1]) + len(text).to_bytes(2) + text + bytes(-len(text) % 4)
            for key, text in ({b"DVNM": b"Camera"} | settings).items()
        )
        gpmf = b"DEVC\0" + bytes([1]) + len(entries).to_bytes(2) + entries
        box = (8 + len(gpmf)).to_bytes(4) + b"GPMF" + gpmf
        data = path.read_bytes()
        start = data.index(b"moov") - 4
        size = int.from_bytes(data[start : start + 4])
        user = (8 + len(box)).to_bytes(4) + b"udta" + box
        moov = (size + len(user)).to_bytes(4) + b"moov" + user + data[start + 8 :]  # before the index, as in cameras
        path.write_bytes(data[:start] + moov)
        assert gopro_settings(path)["DVNM"] == "Camera"
        complaints = opened(path).complaints
        assert any(told in c for c in complaints) if told else complaints == []
        for length in range(start, len(moov) + start, 7):
            path.write_bytes((data[:start] + moov)[:length])
            gopro_settings(path)  # a damaged one says less, and that's all


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg to compare with")
@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "options"),
    [
        ("b.mp4", "libx264", "yuv420p", H264 | {"bf": "3"}),
        ("ten.mkv", "libx264", "yuv420p10le", H264),
        ("hevc.mp4", "libx265", "yuv420p", {"x265-params": "log-level=none:pools=none"}),
        ("woven.ts", "mpeg2video", "yuv420p", {"flags": "+ildct+ilme"}),
        ("gray.mkv", "ffv1", "gray16le", {}),
        ("motion.mov", "mjpeg", "yuvj420p", {}),
    ],
)
def test_frames_are_those_of_stock_ffmpeg(
    write: Write, moving: Clip, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    path = write(name, moving[:20], codec, pixel_format, codec_options=options)
    command = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    if not pixel_format.startswith("gray"):
        command += ["-vf", "extractplanes=y"]
    command += ["-f", "framehash", "-hash", "sha256", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = [line.split()[-1] for line in said.splitlines() if not line.startswith("#")]
    ours = [hashlib.sha256(luma.tobytes()).hexdigest() for luma in decoded(opened(path)).values()]
    assert ours == theirs
