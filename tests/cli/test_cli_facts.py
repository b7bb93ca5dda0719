"""The commands that tell facts and make things: info, plugins, new, schema, simulate, help."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vmforensics
from vmforensics.plugins import Registry
from vmforensics.testing import Camera, simulate, write_clip, write_image_sequence

COMMANDS = (
    ["recover"], ["run"], ["verify"], ["info"], ["simulate"], ["new"], ["schema"], ["plugins", "list"],
    ["plugins", "show"],
)  # fmt: skip
SCHEMA = Path(__file__).resolve().parents[2] / "casefiles" / "schema" / "case.schema.json"


@pytest.fixture(scope="module")
def film():
    return simulate(Camera(width=64, height=48, fps=500, frames=40), sound="tone:60")


# info


def test_info_of_a_matroska_file(vmf, clip):
    answer = vmf("info", clip, "--json")
    assert (answer.code, answer.err) == (0, "")
    told = answer.json
    assert told["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert (told["width"], told["height"], told["full_scale"]) == (96, 72, 255)
    assert told["frames_announced"] == told["frames_decoded"] == 330
    assert (told["clock"]["verdict"], told["clock"]["frame_rate_hz"]) == ("rounded", 30)
    assert told["facts"]["codec"] == "ffv1"
    assert told["facts"]["container_format"] == "matroska,webm"
    assert told["facts"]["time_base"] == "1/1000"
    assert (told["facts"]["rotation_degrees"], told["facts"]["audio_streams"]) == (0, 0)
    assert told["frame_types"] == {"I": 330}
    assert told["complaints"] == []


def test_info_tells_frame_types_and_exact_stamps_of_an_mp4(vmf, film, tmp_path):
    clip = write_clip(film, tmp_path / "film.mp4", codec="libx264", gop=10, b_frames=2)
    told = vmf("info", clip, "--json").json
    assert told["facts"]["codec"] == "h264"
    assert (told["clock"]["verdict"], told["clock"]["frame_rate_hz"]) == ("exact", 500)
    assert told["frame_types"]["I"] == 4
    assert sum(told["frame_types"].values()) == 40
    assert {"I", "P", "B"} == told["frame_types"].keys()
    assert told["facts"]["keyframes"] == 4


def test_info_of_pictures(vmf, film, tmp_path):
    write_image_sequence(film, tmp_path / "pictures")
    (tmp_path / "pictures" / "frame-000007.png").unlink()
    answer = vmf("info", tmp_path / "pictures", "--json")
    assert answer.code == 0
    told = answer.json
    assert told["frame_source"] == "image-sequence"
    assert (told["frames_announced"], told["frames_decoded"]) == (40, 39)
    assert told["clock"]["verdict"] == "broken"
    assert "declares no frame rate" in told["clock"]["basis"]
    assert any("1 numbers are missing" in complaint for complaint in told["complaints"])


def test_info_agrees_with_ffmpeg_on_the_decoded_luma(vmf, clip):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg isn't installed")
    command = ["ffmpeg", "-loglevel", "error", "-i", clip, "-vf", "extractplanes=y", "-f", "framehash"]
    listing = subprocess.run([*command, "-hash", "sha256", "-"], capture_output=True, text=True, check=True).stdout
    hashes = [line.split(",")[-1].strip() for line in listing.splitlines() if not line.startswith("#")]
    digest = hashlib.sha256("".join(f"{value}\n" for value in hashes).encode()).hexdigest()
    assert vmf("info", clip, "--json").json["decoded_luma_sha256"] == digest


def test_info_without_decoding_is_silent_on_what_it_didn_t_see(vmf, clip):
    told = vmf("info", clip, "--no-decode", "--json").json
    assert "frames_announced" in told
    assert not {"frames_decoded", "frame_types", "decoded_luma_sha256"} & told.keys()


def test_info_in_words(vmf, clip):
    answer = vmf("info", clip)
    assert (answer.code, answer.err) == (0, "")
    for line in ("width: 96", "  verdict: rounded", "  codec: ffv1", "frames_decoded: 330", "complaints: none"):
        assert line in answer.out.splitlines()


def test_info_on_a_clip_of_variable_rate(vmf, tmp_path):
    answer = vmf(
        "simulate", tmp_path / "phone.mp4", "--fps", 500, "--jitter", "200us", "--size", "64x48", "--seconds", "0.2",
        "--codec", "libx264", "-q",
    )  # fmt: skip
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    told = vmf("info", tmp_path / "phone.mp4", "--json").json
    assert told["clock"]["verdict"] == "variable"
    assert told["clock"]["largest_stamp_residual_s"] > 1e-4


# plugins


def test_plugins_list_names_every_stage(vmf):
    answer = vmf("plugins", "list")
    assert (answer.code, answer.err) == (0, "")
    for registered in Registry().stages():
        assert f"  {registered.stage.name} " in answer.out
    told = vmf("plugins", "list", "--json").json
    assert told["not_loaded"] == []
    assert [stage["name"] for stage in told["stages"]] == [found.stage.name for found in Registry().stages()]
    assert all(stage["distribution"] == "vmforensics" for stage in told["stages"])


def test_plugins_show_tells_parameters_as_a_case_writes_them(vmf):
    answer = vmf("plugins", "show", "local-phase")
    assert answer.code == 0
    assert "    scales = null: " in answer.out
    assert "    orientations = 2: " in answer.out
    assert "reference: Davis et al. 2014" in answer.out
    params = vmf("plugins", "show", "high-pass", "--json").json["params"]
    assert params["cutoff"]["default"] == 20
    assert params["cutoff"]["description"]


def test_plugins_show_suggests_the_nearest_name(vmf):
    answer = vmf("plugins", "show", "row-moton")
    assert (answer.code, answer.out) == (21, "")
    assert "error: unknown stage 'row-moton'; installed: " in answer.err
    assert "hint:  did you mean 'row-motion'?" in answer.err


# new, schema, simulate


def test_new_case_is_refused_until_filled_in_and_runs_then(vmf, clip, tmp_path):
    folder = tmp_path / "2026-001"
    made = vmf("new", folder)
    assert made.code == 0
    assert f"vmforensics run {folder / 'case.yaml'}" in made.out
    empty = vmf("run", folder / "case.yaml")
    assert empty.code == 20
    for missing in ("case.id", "evidence[0].path", "camera.shutter"):
        assert f": {missing}: has no value" in empty.err
    shutil.copy(clip, folder / "evidence" / "chips.mkv")
    text = (folder / "case.yaml").read_text("utf-8")
    for line, filled in (
        ("  id:  ", "  id: A-1"),
        ("    path:  ", "    path: evidence/chips.mkv"),
        ("  shutter:  ", "  shutter: global"),
        ("  # capture_fps: 2200  ", "  capture_fps: 2200"),
    ):
        assert text.count(line) == 1
        text = text.replace(line, f"{filled}  ")
    (folder / "case.yaml").write_text(text, "utf-8")
    answer = vmf("run", folder / "case.yaml", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["case"]["id"] == "A-1"
    assert Path(answer.json["run_dir"]) == folder / "runs" / "001"
    again = vmf("new", folder)
    assert (again.code, again.out) == (30, "")
    assert (folder / "case.yaml").read_text("utf-8") == text


def test_new_tells_json(vmf, tmp_path):
    made = vmf("new", tmp_path / "case", "--json").json["made"]
    assert str(tmp_path / "case" / "case.yaml") in made
    assert all(Path(path).exists() for path in made)


def test_schema_is_the_committed_one(vmf):
    answer = vmf("schema", "--shipped")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == SCHEMA.read_text("utf-8")
    assert json.loads(answer.out)["title"] == "vmforensics case"


def test_simulate_makes_the_same_bytes_twice_and_overwrites_nothing(vmf, tmp_path):
    options = ["--size", "64x48", "--fps", "1000", "--seconds", "20ms", "--sound", "chirp:100-400", "--scene", "edges"]
    told = vmf("simulate", tmp_path / "one.mkv", *options, "--json").json
    assert told["settings"]["rms_px"] == 0.03
    assert vmf("simulate", tmp_path / "two.mkv", *options, "--quiet").code == 0
    content = (tmp_path / "one.mkv").read_bytes()
    assert (tmp_path / "two.mkv").read_bytes() == content
    answer = vmf("simulate", tmp_path / "one.mkv", *options)
    assert answer.code == 30
    assert "exists already" in answer.err
    assert (tmp_path / "one.mkv").read_bytes() == content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scene", "chaos"], "unknown scene 'chaos'"),
        (["--sound", "chaos"], "chaos"),
        (["--codec", "chaos"], "unknown codec 'chaos'"),
        (["--size", "64"], "--size '64'"),
        (["--size", "0x48"], "0"),
        (["--fps", "fast"], "--fps"),
        (["--seconds", "0"], "frame"),
        (["--shutter", "rolling"], "needs the row time"),
        (["--row-time", "2ms"], "takes longer than a frame's"),
        (["--moving", "60,0,10,10"], "doesn't lie in"),
        (["--quality", "18"], "quality 18"),
        (["--displacement", "-1"], "rms_px is -1"),
    ],
)
def test_simulate_refuses_what_makes_no_sense(vmf, tmp_path, options, said):
    answer = vmf("simulate", tmp_path / "clip.mkv", "--size", "64x48", "--seconds", "50ms", *options)
    assert answer.code in (22, 23), answer.err
    assert said in answer.err
    assert (answer.out, list(tmp_path.iterdir())) == ("", [])


# help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(vmf, command):
    answer = vmf(*command, "--help")
    assert (answer.code, answer.err) == (0, "")
    example = answer.out.partition("Example")[2]
    assert f"  vmforensics {' '.join(command)} " in f"{example} " or f"  vmforensics {' '.join(command)}\n" in example
    assert "--json" in answer.out or command == ["schema"]
    assert "--quiet" in answer.out or command == ["schema"]


def test_the_examples_in_the_help_are_understood(vmf, tmp_path, monkeypatch):
    """Each example names only options that exist; whether its files do is another matter."""
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        example = vmf(*command, "--help").out.partition("Example")[2].partition("\n\n")[0]
        lines = [line.split()[1:] for line in example.splitlines() if line.strip().startswith("vmforensics ")]
        assert lines
        for line in lines:
            if command[0] in ("recover", "run", "verify", "info"):
                assert vmf(*line).code in (10, 20, 50, 53), line


def test_version(vmf):
    answer = vmf("--version")
    assert (answer.code, answer.out) == (0, f"vmforensics {vmforensics.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["recover", "--help"], ["plugins", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys\nsys.argv = ['vmforensics', *sys.argv[1:]]\nfrom vmforensics.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == 0
    heavy = {"scipy", "av", "matplotlib", "skimage", "soundfile", "jinja2", "numpy", "yaml", "pluggy"}
    loaded = heavy & set(process.stderr.split())
    assert not loaded


def test_vmf_is_the_same_program():
    from importlib.metadata import entry_points

    scripts = {script.name: script.value for script in entry_points(group="console_scripts")}
    assert scripts["vmf"] == scripts["vmforensics"] == "vmforensics.cli:main"


def test_the_python_api_is_light_to_import():
    program = "import sys, vmforensics; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"scipy", "av", "numpy", "matplotlib"} & set(loaded)
    for name in vmforensics.__all__:
        assert getattr(vmforensics, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'recover'"):
        vmforensics.recover  # noqa: B018


def test_a_closed_pipe_ends_a_command_quietly(shell, clip):
    with shell("info", clip, "--json") as process:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_facts_that_can_t_be_written_are_no_success():
    program = Path(sys.executable).with_name("vmforensics")
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [program, "plugins", "list", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert process.returncode == 30
    assert process.stderr == "error: the output can't be written: No space left on device\n"
