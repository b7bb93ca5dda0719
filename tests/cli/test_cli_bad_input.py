"""Bad input at the command line: a clear error and exit code for each; a run that had begun says that it failed."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import av
import imageio.v3
import numpy as np
import pytest

from vmforensics import verify
from vmforensics.testing import Camera, simulate, write_clip, write_image_sequence

RECORD = {"case.yaml", "case.resolved.yaml", "ledger.jsonl", "manifest-sha256.txt"}


def check_refused(answer, code):
    """One clear message on standard error, none of a program that broke."""
    assert answer.code == code, answer.err
    assert answer.out == ""
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert len(errors[0]) > 20
    assert "Traceback" not in answer.err
    assert not any(word in answer.err for word in ("None", "Errno", "object at 0x", "NoneType"))


def check_failed_run(folder, ledger, kind):
    """The run folder holds the record of a failure, and verifies as one."""
    entries = ledger(folder)
    assert (entries[0]["event"], entries[-1]["event"]) == ("run-started", "run-failed")
    assert entries[-1]["error"]["class"] == kind
    assert {path.name for path in folder.iterdir()} == RECORD
    found = verify(folder)
    assert (found.ok, found.status.value) == (True, "failed")


@pytest.fixture
def refused(vmf, tmp_path, ledger):
    """Has a clip refused in mid-run: refused(clip, 13, "TooFewFrames") → what the command said."""

    def check(clip, code, kind, *options):
        answer = vmf("recover", clip, "--capture-fps", 2200, "--out", tmp_path / "run", *options)
        check_refused(answer, code)
        check_failed_run(tmp_path / "run", ledger, kind)
        assert f"note:  what was done up to here is on record in {tmp_path / 'run' / 'ledger.jsonl'}" in answer.err
        return answer.err

    return check


def write_noise(path, count, *, size=(64, 48), codec="ffv1", pixel_format="gray", container=None, first=0):
    """A clip of a few frames of noise."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=50)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        file.start_encoding()
        for k in range(count):
            noise = np.random.default_rng(k).integers(0, 255, size[::-1], dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="gray").reformat(format=pixel_format)
            frame.pts = first + k
            file.mux(stream.encode(frame))
        if count:
            file.mux(stream.encode(None))
    return path


# Evidence that is no video


def test_missing(vmf, tmp_path):
    answer = vmf("recover", tmp_path / "nothing.mp4", "--capture-fps", 2200, "--out", tmp_path / "run")
    check_refused(answer, 10)
    assert "nothing.mp4: no such file" in answer.err
    assert not (tmp_path / "run").exists()


def test_empty(refused, tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "the file is empty (0 bytes)" in refused(tmp_path / "empty.mp4", 11, "EvidenceUnreadable")


def test_text_with_a_film_s_name(refused, tmp_path):
    (tmp_path / "text.mp4").write_text("This is not a film.\n" * 200)
    assert "FFmpeg can't open it as video" in refused(tmp_path / "text.mp4", 11, "EvidenceUnreadable")


def test_noise_with_a_film_s_name(refused, tmp_path):
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(1).bytes(50_000))
    refused(tmp_path / "noise.mkv", 11, "EvidenceUnreadable")


def test_half_an_mp4_whose_index_is_lost(refused, tmp_path):
    whole = write_noise(tmp_path / "whole.mp4", 20, codec="libx264", pixel_format="yuv420p").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    assert "moov atom not found" in refused(tmp_path / "half.mp4", 11, "EvidenceUnreadable")


def test_half_a_matroska_file_is_used_as_far_as_it_goes_and_says_so(vmf, clip, tmp_path):
    half = tmp_path / "half.mkv"
    half.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    answer = vmf("recover", half, "--capture-fps", 2200, "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert any("File ended prematurely" in warning for warning in answer.json["warnings"])
    assert 100 < answer.json["evidence"]["decoded_frames"] < 200
    assert answer.json["signal"]["samples"] == answer.json["evidence"]["decoded_frames"]


@pytest.mark.parametrize(("name", "codec"), [("sound.wav", "pcm_s16le"), ("sound.m4a", "aac")])
def test_sound_alone(refused, tmp_path, name, codec):
    with av.open(str(tmp_path / name), "w") as file:
        stream = file.add_stream(codec, rate=8000, layout="mono")
        silence = np.zeros((1, 8000), np.float32 if codec == "aac" else np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp" if codec == "aac" else "s16", layout="mono")
        frame.rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert "it holds no moving picture, but audio" in refused(tmp_path / name, 12, "NoVideo")


def test_no_frame(refused, tmp_path):
    clip = write_noise(tmp_path / "none.avi", 0, codec="mpeg4", pixel_format="yuv420p")
    assert "the video stream holds no frame" in refused(clip, 13, "TooFewFrames")


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("shutter", [(), ("--row-time", "5us")], ids=["global", "rolling"])
def test_a_frame_or_two(refused, tmp_path, count, shutter):
    clip = write_noise(tmp_path / "few.mkv", count)
    assert "frames" in refused(clip, 13, "TooFewFrames", *shutter)


def test_pictures_of_two_sizes(refused, tmp_path):
    (tmp_path / "pictures").mkdir()
    for n, width in enumerate((64, 64, 64, 62)):
        imageio.v3.imwrite(tmp_path / "pictures" / f"{n}.png", np.full((48, width), 40 * n, np.uint8))
    said = refused(tmp_path / "pictures", 14, "FrameSizeChanged")
    assert "3.png: it is 62x48 gray, the first picture 64x48 gray" in said


def test_a_stream_that_changes_size(refused, tmp_path):
    kind = {"codec": "mpeg2video", "pixel_format": "yuv420p", "container": "mpegts"}
    first = write_noise(tmp_path / "1.ts", 12, **kind).read_bytes()
    second = write_noise(tmp_path / "2.ts", 12, size=(80, 64), first=12, **kind).read_bytes()
    (tmp_path / "both.ts").write_bytes(first + second)
    said = refused(tmp_path / "both.ts", 14, "FrameSizeChanged")
    assert "80x64 yuv420p, those before it 64x48 yuv420p" in said


def test_a_folder_without_pictures(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no picture")
    assert "is a picture" in refused(tmp_path / "folder", 11, "EvidenceUnreadable")


def test_a_grey_wall_holds_nothing_to_measure_on(refused, tmp_path):
    grey = simulate(Camera(width=64, height=48, fps=2200, frames=40), scene="grey", sound="silence")
    refused(write_clip(grey, tmp_path / "grey.mkv"), 23, "RegionError")


@pytest.fixture
def as_nobody_special(shell, tmp_path):
    """Runs a command without the privilege to read and write everything, which root has."""
    (tmp_path / "locked").mkdir(mode=0)
    privileged = os.access(tmp_path / "locked", os.R_OK)
    if privileged and shutil.which("setpriv") is None:
        pytest.skip("whoever runs this test may read and write everything (root), and there is no setpriv")
    without = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"] if privileged else []

    def run(*arguments):
        process = shell(*arguments, before=before)
        out, err = process.communicate(timeout=60)
        return SimpleNamespace(code=process.returncode, out=out, err=err)

    return run


def test_evidence_that_may_not_be_read(as_nobody_special, clip, tmp_path):
    copy = tmp_path / "copy.mkv"
    copy.write_bytes(clip.read_bytes())
    copy.chmod(0)
    for locked in (copy, tmp_path / "locked"):
        answer = as_nobody_special("recover", locked, "--capture-fps", 2200, "--out", tmp_path / "run")
        check_refused(answer, 10)
        assert f"{locked}: can't be read: Permission denied" in answer.err
        assert not (tmp_path / "run").exists()


def test_a_file_s_name_can_t_drive_the_terminal(vmf, tmp_path):
    answer = vmf("info", tmp_path / "\x1b[2Jgone.mkv")
    check_refused(answer, 10)
    assert "\\x1b[2Jgone.mkv" in answer.err
    assert "\x1b" not in answer.err


# Where and how to look


@pytest.mark.parametrize(
    ("region", "code", "kind"),
    [
        ("0,0,97,72", 23, "RegionError"),
        ("90,0,10,10", 23, "RegionError"),
        ("500,500,10,10", 23, "RegionError"),
        ("4,4,2,2", 23, "RegionError"),
    ],
)
def test_region_out_of_the_frame(refused, clip, region, code, kind):
    assert "region" in refused(clip, code, kind, "--roi", region)


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "0,0,10.5,10", "", "0,0,0,5", "-1,0,10,10", "1 2 3 4"])
def test_region_that_is_none(vmf, clip, tmp_path, region):
    answer = vmf("recover", clip, "--capture-fps", 2200, "--out", tmp_path / "run", f"--roi={region}")
    check_refused(answer, 20)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--shutter", "rolling"], 20, "a rolling shutter needs its row time, which is never guessed"),
        (["--shutter", "rotating"], 20, "allowed: rolling, global"),
        (["--shutter", "global", "--row-time", "19us"], 20, "contradicts 'shutter: global'"),
        (["--row-time", "0"], 20, "greater than 0"),
        (["--row-time", "-19us"], 20, "it must be greater than"),
        (["--row-time", "19"], 20, "less than 1"),
        (["--row-time", "19 lightyears"], 20, "write seconds such as"),
        (["--row-time", "19us", "--readout-direction", "sideways"], 20, "allowed: top-to-bottom"),
        (["--row-time", "19us", "--row-time-uncertainty", "0"], 20, "greater than 0"),
        (["--capture-fps", "0"], 20, "greater than 0"),
        (["--capture-fps", "nan"], 20, "write hertz such as"),
        (["--capture-fps", "1e400"], 20, "write hertz such as"),
        (["--capture-fps", "2200", "--exposure", "-1/4000"], 20, "greater than 0"),
        (["--capture-fps", "2200", "--exposure", "1/0"], 20, "divides by zero"),
        (["--capture-fps", "2200", "-p", "denoise"], 20, "only no:NAME is known"),
        (["--capture-fps", "2200", "-p", "no:media"], 21, "no installed frame source takes it"),
        (["--capture-fps", "2200", "-p", "no:denoisee"], 21, "no such plugin; installed: denoise"),
        (["--capture-fps", "2200", "-p", "no:denoise"], 21, "unknown denoiser 'high-pass'"),
        (["--frames", "9"], 2, "No such option"),
    ],
)
def test_options_that_are_wrong(vmf, clip, tmp_path, options, code, said):
    answer = vmf("recover", clip, "--out", tmp_path / "run", *options)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()


def test_a_readout_that_is_longer_than_a_frame(vmf, clip, tmp_path, ledger):
    """It once gave the verdict `signal`, in a band that no camera of that kind has."""
    answer = vmf("recover", clip, "--row-time", "19ms", "--out", tmp_path / "run")
    check_refused(answer, 17)
    assert "a readout of 1368.00 ms doesn't fit into a frame of 33.33 ms" in answer.err
    check_failed_run(tmp_path / "run", ledger, "TimingError")


@pytest.mark.parametrize(("rate", "offers_to_go_on"), [(60, True), (30, False)])
def test_ordinary_footage_needs_a_word_on_its_shutter(vmf, tmp_path, rate, offers_to_go_on):
    street = simulate(Camera(width=64, height=48, fps=rate, frames=90), sound="silence")
    clip = write_clip(street, tmp_path / "street.mkv")
    answer = vmf("recover", clip, "--out", tmp_path / "run")
    check_refused(answer, 17)
    assert f"{rate} frames/s as a global shutter would show sound up to {rate // 2} Hz only" in answer.err
    assert "--row-time" in answer.err
    assert "--capture-fps" in answer.err
    assert ("--shutter global" in answer.err) == offers_to_go_on
    assert not (tmp_path / "run").exists()


def test_ordinary_footage_goes_on_as_global_on_request(vmf, tmp_path):
    street = simulate(Camera(width=64, height=48, fps=60, frames=150), sound="silence")
    clip = write_clip(street, tmp_path / "street.mkv")
    answer = vmf("recover", clip, "--shutter", "global", "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["shutter"]["kind"], answer.json["signal"]["rate_hz"]) == ("global", 60)


def test_pictures_need_a_frame_rate(vmf, tmp_path):
    write_image_sequence(simulate(Camera(width=64, height=48, fps=2200, frames=5)), tmp_path / "pictures")
    for number, options in enumerate(([], ["--shutter", "global"], ["--row-time", "5us"])):
        answer = vmf("recover", tmp_path / "pictures", "--out", tmp_path / f"run{number}", *options)
        check_refused(answer, 17)
        assert "--capture-fps" in answer.err


# Case files


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("region: wide\n", 20, "case.yaml:5:1: region"),
        ("runs:\n  - denoiser: high-pas\n", 21, "case.yaml:6:5: runs[0].denoiser[0]: unknown denoiser 'high-pas'"),
        (
            "runs:\n  - denoiser:\n      - name: high-pass\n        params: {cutof: 80 Hz}\n",
            22,
            "case.yaml:8:18: runs[0].denoiser[0].params.cutof: denoiser 'high-pass': parameter cutof: unknown",
        ),
        (
            "runs:\n  - denoiser:\n      - name: high-pass\n        params: {cutoff: loud}\n",
            22,
            "case.yaml:8:18: runs[0].denoiser[0].params.cutoff",
        ),
        ("runs:\n  - motion_estimator: magic\n", 21, "case.yaml:6:5: runs[0].motion_estimator"),
        ("runs:\n  - frame_source: autoo\n", 21, "case.yaml:6:5: runs[0].frame_source"),
        ("runs:\n  - {name: a}\n  - {name: A}\n", 20, "case.yaml:7:6: runs[1].name"),
        ("runs:\n  - {name: ../../etc}\n", 20, "case.yaml:6:6: runs[0].name"),
        ("runs:\n  - {evidence: E2}\n", 20, "case.yaml:6:6: runs[0].evidence: no exhibit"),
        ("regoin: [0, 0, 9, 9]\n", 20, "case.yaml:5:1: regoin: unknown key; allowed: version, case, "),
        ("version: 1\n", 20, "case.yaml:5:1: version: the key appears twice, first on line 1"),
        ("runs: [\n", 20, "case.yaml:6:1: not valid YAML"),
        ("runs: []\n", 20, "case.yaml:5:1: runs: is an empty list"),
        ("runs: !!python/object:os.system [ls]\n", 20, "case.yaml:5:1: runs: the tag"),
    ],
)  # fmt: skip
def test_cases_that_are_wrong(vmf, case_file, tmp_path, text, code, said):
    answer = vmf("run", case_file(text), "--out", tmp_path / "run")
    check_refused(answer, code)
    assert f"{tmp_path}/{said}" in answer.err
    assert not (tmp_path / "run").exists()


def test_the_nearest_name_is_suggested(vmf, case_file):
    assert "hint:  did you mean 'high-pass'?" in vmf("run", case_file("runs: [{denoiser: high-pas}]")).err
    wrong = case_file("runs: [{denoiser: {name: high-pass, params: {cutof: 8}}}]")
    assert "hint:  did you mean 'cutoff'?" in vmf("run", wrong).err
    assert "did you mean 'region'?" in vmf("run", case_file("regoin: [0, 0, 9, 9]")).err


def test_rolling_case_without_row_time(vmf, case_file):
    answer = vmf("run", case_file(camera="{shutter: rolling}"))
    check_refused(answer, 20)
    assert "case.yaml:4:1: camera.row_time: required for a rolling shutter" in answer.err


def test_case_whose_exhibit_is_missing(vmf, case_file, tmp_path):
    answer = vmf("run", case_file(evidence="lost.mkv"))
    check_refused(answer, 10)
    assert "lost.mkv: no such file" in answer.err
    assert not (tmp_path / "runs").exists()


def test_case_that_is_missing_or_no_file(vmf, tmp_path):
    check_refused(vmf("run", tmp_path / "none.yaml"), 20)
    check_refused(vmf("run", tmp_path), 20)
    check_refused(vmf("run", os.devnull), 20)


def test_evidence_that_isn_t_what_the_case_expects(vmf, clip, tmp_path, ledger):
    case = tmp_path / "case.yaml"
    exhibit = f"{{path: '{clip}', sha256: {'0' * 64}}}"
    case.write_text(f"version: 1\ncase: {{id: A}}\nevidence: [{exhibit}]\ncamera: {{shutter: global}}\n")
    answer = vmf("run", case, "--out", tmp_path / "run")
    check_refused(answer, 15)
    assert "SHA-256 is " in answer.err
    check_failed_run(tmp_path / "run", ledger, "DigestMismatch")


# Where to write


def test_output_that_is_a_file_or_lies_in_one(vmf, clip, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "run"):
        answer = vmf("recover", clip, "--capture-fps", 2200, "--out", out)
        check_refused(answer, 30)
        assert "it must be a folder" in answer.err
    assert (tmp_path / "taken").read_text() == "mine"


def test_output_that_holds_something(vmf, clip, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    answer = vmf("recover", clip, "--capture-fps", 2200, "--out", tmp_path)
    check_refused(answer, 30)
    assert "isn't empty" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_output_that_can_t_be_made(vmf, clip):
    answer = vmf("recover", clip, "--capture-fps", 2200, "--out", "/proc/vmforensics-run")
    check_refused(answer, 30)
    assert "can't be made" in answer.err


def test_output_that_may_not_be_written(as_nobody_special, clip, tmp_path):
    locked = tmp_path / "locked"
    for mode, out in ((0, locked / "run"), (0o500, locked / "run"), (0o500, locked)):
        locked.chmod(mode)
        answer = as_nobody_special("recover", clip, "--capture-fps", 2200, "--out", out)
        check_refused(answer, 30)
        locked.chmod(0o700)
        assert list(locked.iterdir()) == []


@pytest.mark.parametrize("out", [".", "run", "deep/er/run"])
def test_output_among_the_pictures(vmf, tmp_path, out):
    pictures = tmp_path / "pictures"
    write_image_sequence(simulate(Camera(width=64, height=48, fps=2200, frames=5)), pictures)
    before = sorted(pictures.iterdir())
    answer = vmf("recover", pictures, "--capture-fps", 2200, "--out", pictures / out)
    check_refused(answer, 30)
    assert "nothing is written beside evidence" in answer.err
    assert sorted(pictures.iterdir()) == before


@pytest.mark.parametrize("out", [".", "run", ".."])
def test_output_in_a_folder_called_evidence(vmf, clip, tmp_path, out):
    copy = tmp_path / "case" / "evidence" / "copy.mkv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(clip.read_bytes())
    answer = vmf("recover", copy, "--capture-fps", 2200, "--out", copy.parent / out)
    check_refused(answer, 30)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.mkv"]


def test_output_reached_through_a_link_into_the_evidence(vmf, tmp_path):
    pictures = tmp_path / "pictures"
    write_image_sequence(simulate(Camera(width=64, height=48, fps=2200, frames=5)), pictures)
    (tmp_path / "elsewhere").symlink_to(pictures)
    check_refused(vmf("recover", pictures, "--capture-fps", 2200, "--out", tmp_path / "elsewhere" / "run"), 30)


def test_every_cause_has_an_exit_code_of_its_own():
    from vmforensics import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert len(set(codes.values())) == len(codes)
    assert all(code == 1 or 10 <= code <= 99 for code in codes.values())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("recover", "loop", "--shutter", "global"), 10),
        (("seal", "run", "--key", "loop", "--actor", "a", "--purpose", "b"), 53),
        (("key", "show", "loop"), 53),
        (("case", "search", "x", "--in", "loop"), 50),
    ],
)
def test_links_that_go_in_circles(vmf, tmp_path, monkeypatch, command, code):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    check_refused(vmf(*command), code)


@pytest.mark.parametrize("name", ["caf\udce9.mkv", "line\nbreak\x1b[2J.mkv"], ids=["not UTF-8", "control characters"])
@pytest.mark.parametrize("command", ["assess", "scan", "calibrate", "recover"])
def test_a_name_that_no_case_file_can_hold_is_refused_before_anything_is_written(
    vmf, tmp_path, monkeypatch, command, name
):
    clip = write_noise(tmp_path / "plain.mkv", 20).rename(tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    answer = vmf(command, clip)
    check_refused(answer, 20)
    assert "work on a copy under a plain name" in answer.err
    assert "\x1b" not in answer.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_name_in_another_script_or_with_signs_of_formulas_is_an_ordinary_one(vmf, tmp_path):
    clip = write_noise(tmp_path / "Straße $a_{x^ 監視 <b>.mkv", 150)
    answer = vmf("assess", clip, "--out", tmp_path / "assessment", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["evidence"]["name"] == clip.name
