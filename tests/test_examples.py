"""The shipped example: what its README says of the clip, of the truth and of the recovery is so."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import vmforensics
from vmforensics.case import parse_case
from vmforensics.cli import app
from vmforensics.plugins import Registry
from vmforensics.recovery import Outcome, plan_case

EXAMPLE = Path(__file__).resolve().parents[1] / "casefiles" / "example-rolling-shutter"
README = (EXAMPLE / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    (found,) = vmforensics.run_case(EXAMPLE / "case.yaml", tmp_path_factory.mktemp("example") / "run")
    return found


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's command has been carried out."""
    folder = tmp_path_factory.mktemp("remade")
    (block,) = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        app([*shlex.split(block.replace("\\\n", " "))[1:], "--quiet"], standalone_mode=False)
    return folder


def truth_at(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tune's displacement (px) at some instants (s)."""
    sound, rate = soundfile.read(EXAMPLE / "truth" / "truth.wav")
    full_scale = json.loads((EXAMPLE / "truth" / "truth.json").read_text("utf-8"))["wav"]["full_scale_px"]
    return np.asarray(np.interp(times, np.arange(len(sound)) / rate, sound * full_scale))


def luma(clip: Path) -> Iterator[NDArray[np.int16]]:
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray().astype(np.int16)


def test_digests_are_those_stated():
    stated = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", README, re.MULTILINE))
    assert set(stated) == {"clip.mkv", "truth/truth.wav"}
    for name, digest in stated.items():
        assert hashlib.sha256((EXAMPLE / name).read_bytes()).hexdigest() == digest
    assert vmforensics.read_case(EXAMPLE / "case.yaml").case.evidence[0].sha256 == stated["clip.mkv"]


def test_recovers_the_tune(outcome):
    assert outcome.result["verdict"] == "signal"
    assert outcome.result["warnings"] == []
    with np.load(outcome.folder / "signal.npz") as arrays:
        recovered, observed, times = arrays["samples_px"], arrays["observed"], arrays["times_s"]
    truth = truth_at(times)
    between = ~observed
    everywhere, unseen = (float(np.corrcoef(recovered[part], truth[part])[0, 1]) for part in (slice(None), between))
    level = float(recovered @ truth / (truth @ truth))
    assert 0.1 < between.mean() < 0.2
    assert everywhere > 0.95
    stated = re.search(r"by (0\.\d+) over the whole clip, and by\s(0\.\d+) .* level\s+is\s(0\.\d+) ", README, re.DOTALL)
    assert stated
    assert [everywhere, unseen, level] == pytest.approx([float(number) for number in stated.groups()], abs=0.01)


def test_the_sound_file_holds_the_tune(outcome):
    sound, rate = soundfile.read(outcome.folder / "recovered_48k.wav")
    truth = truth_at(outcome.result["signal"]["start_s"] + np.arange(len(sound)) / rate)
    assert np.corrcoef(sound, truth)[0, 1] > 0.98


def test_run_is_as_it_was_left(outcome):
    found = vmforensics.verify(outcome.folder)
    assert found.ok, found.findings
    assert found.head == outcome.head


def test_the_command_remakes_the_clip(remade):
    """To the byte with the versions named in the README; with others, but for a pixel's rounding here and there."""
    settings = (remade / "truth" / "truth.json").read_text("utf-8")
    assert json.loads(settings) == json.loads((EXAMPLE / "truth" / "truth.json").read_text("utf-8"))
    differing = pixels = frames = 0
    for shipped, made in zip(luma(EXAMPLE / "clip.mkv"), luma(remade / "clip.mkv"), strict=True):
        difference = np.abs(shipped - made)
        assert difference.max() <= 1
        differing += int(np.count_nonzero(difference))
        pixels += difference.size
        frames += 1
    assert frames == 180
    assert differing <= 1e-3 * pixels


def test_the_run_offered_for_comparison_can_be_planned():
    """The last lines of the case file, with the comment marks taken away."""
    head, offered = (EXAMPLE / "case.yaml").read_text("utf-8").split("#\n#  - name:")
    lines = [line.removeprefix("#") for line in f"#  - name:{offered}".splitlines()]
    case = parse_case("\n".join([head, *lines]), name=EXAMPLE / "case.yaml")
    plans = plan_case(case, Registry())
    assert [(plan.name, plan.combiner.name) for plan in plans] == [
        ("recovery", "autoregressive"),
        ("gaps-left-empty", "row-average"),
    ]
    assert plans[1].denoisers[0].params.cutoff == 80
