"""Odd files on the command line: what a tired analyst reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import imageio.v3
import numpy as np
import pytest

from vmforensics.cli import main
from vmforensics.errors import NotEnoughMemory
from vmforensics.testing import Camera, simulate, write_clip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vmf(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; gives its exit code, and what it printed on standard output and error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vmforensics", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(simulate(camera=Camera(width=64, height=48, frames=12, fps=500)), tmp_path / "clip.mkv")


def test_a_folder_of_unlike_pictures_is_not_asked_for_a_rate(vmf: Run, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    for n, size in enumerate([(5, 7), (9, 7)]):
        imageio.v3.imwrite(folder / f"{n}.png", np.zeros(size, np.uint8))
    code, _, told = vmf("recover", folder)
    assert code == 14
    assert "1.png: it is 7x9" in told
    assert "pattern" in told
    assert "capture-fps" not in told


def test_lost_frames_are_on_record_and_count_as_gaps(vmf: Run, tmp_path: Path) -> None:
    import av

    camera = Camera(width=64, height=48, frames=40, fps=500)
    whole = write_clip(simulate(camera=camera), tmp_path / "whole.mp4", codec="libx264", quality=1, gop=10, b_frames=0)
    path = tmp_path / "lost.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for n, packet in enumerate(source.demux(video=0)):
            if packet.size and n != 13:
                packet.stream = stream
                target.mux(packet)
    run = tmp_path / "run"
    code, _, told = vmf("recover", path, "--shutter", "global", "--out", run)
    assert code == 0, told
    entries = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    warned = " ".join(entry["text"] for entry in entries if entry["event"] == "warning")
    assert "6 of 39 frames couldn't be decoded; they count as gaps" in warned
    assert "damaged frames, patched by the decoder, left out: 13 (1 of 39, counted from 0)" in warned
    assert "frames that depend on damaged ones, left out: 14-18 (5 of 39, counted from 0)" in warned
    with np.load(run / "signal.npz") as arrays:
        raw = arrays["raw_observed"]
    assert np.flatnonzero(~raw).tolist() == list(range(13, 20))  # the lost one has its place in time


def test_too_little_memory_is_said(vmf: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError("Unable to allocate 93.1 GiB for an array")

    monkeypatch.setattr("vmforensics_media.video.BlockBuilder", exhausted)
    run = clip.with_name("run")
    for command in (["info"], ["recover", "--shutter", "global", "--out", run]):
        code, _, told = vmf(*command, clip)
        assert code == NotEnoughMemory.exit_code == 31
        assert "there isn't enough memory: Unable to allocate 93.1 GiB" in told
        assert "Traceback" not in told
        assert "hint:  take a smaller region" in told
    last = json.loads((run / "ledger.jsonl").read_text().splitlines()[-1])
    assert "MemoryError" in json.dumps(last)


def test_info_looks_at_the_stream_that_is_asked_for(vmf: Run, clip: Path) -> None:
    code, told, _ = vmf("info", "--stream", "0", clip)
    assert code == 0
    assert "moving_pictures: stream 0: ffv1 64x48" in told
    code, _, told = vmf("info", "--stream", "3", clip)
    assert code == 12
    assert "its stream 3 is no moving picture; 0 is" in told


def test_a_recording_with_a_long_pause_is_not_stretched_over_it(vmf: Run, tmp_path: Path) -> None:
    import av

    path = tmp_path / "pause.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "gray"
        for n in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), n, np.uint8), format="gray")
            frame.pts = 33 * n + 7_200_000 * (n > 20)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, _, told = vmf("recover", path, "--row-time", "20us", "--out", tmp_path / "run")
    assert code == 17
    assert "after frame 20 (counted from 0) the time stamps pause for 7200.03 s" in told
    assert "cut a copy at the pause" in told


def _film(path: Path, pixel_format: str, stamps: list[int]) -> Path:
    """A vibrating picture in FFV1, with time stamps in ms."""
    import av

    pictures = simulate(Camera(64, 48, 500, len(stamps)), sound="tone:60", rms_px=0.2).frames
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=500)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for stamp, picture in zip(stamps, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=pixel_format)
            frame.pts = stamp
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_picture_with_transparency_is_read_by_its_luma(vmf: Run, tmp_path: Path) -> None:
    digests = []
    for pixel_format in ("yuv420p", "yuva420p"):
        clip = _film(tmp_path / f"{pixel_format}.mkv", pixel_format, [2 * n for n in range(60)])
        run = tmp_path / pixel_format
        code, _, told = vmf("recover", clip, "--shutter", "global", "--out", run)
        assert code == 0, told
        evidence = json.loads((run / "result.json").read_text())["evidence"]
        assert evidence["facts"]["pixel_format"] == pixel_format
        digests.append(evidence["decoded_luma_sha256"])
    assert digests[0] == digests[1]


def test_a_clip_that_lasts_no_time_has_its_frames_counted(vmf: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, _, told = vmf("recover", _film(tmp_path / "zero.mkv", "gray", [0] * 60), "--shutter", "global", "--out", run)
    assert code == 0, told
    clock = json.loads((run / "result.json").read_text())["clock"]
    assert clock["verdict"] == "broken"
    assert "several frames share a time stamp" in clock["basis"]
