"""The page: what it says, what it shows, and what it keeps out."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from vmforensics.errors import CustodyError
from vmforensics.report import Subject, attachments, compose, render_report
from vmforensics.report.content import Beside, ReportedRun

VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}
ATTRIBUTES = {
    "alt", "aria-describedby", "aria-label", "aria-labelledby", "charset", "checked", "class", "content", "controls",
    "data-gain", "data-kind", "data-run", "decoding", "hidden", "href", "http-equiv", "id", "lang", "loading", "max",
    "min", "name", "preload", "role", "scope", "src", "step", "tabindex", "type", "value",
}  # fmt: skip
VERDICT_WORDS = {
    "signal": "Whether that motion is sound is for the analyst to judge",
    "no-signal": "This does not show that there was silence",
    "undetermined": "Nothing may be concluded from this run",
}


class Page(HTMLParser):
    """Reads a page, strictly: every element is closed by its own end tag."""

    def __init__(self, html: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.style = self.script = ""
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(html.decode())
        self.close()
        assert self._open == []
        self.text = " ".join("".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"repeated attribute in {tag}"
        if tag in ("td", "th"):
            self._words.append(" ")
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> without a start"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        elif self._open and self._open[-1] == "script":
            self.script += data
        else:
            self._words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def read(result: dict[str, Any], folder: Path) -> Page:
    return Page(render_report(result, folder))


def spoiled(value: Any, text: str, keep: Callable[[str], bool], key: str = "") -> Any:
    """A copy of a JSON value in which every text, and every key that plugins choose, holds something else."""
    if isinstance(value, dict):
        renamed = {
            (f"{text}{k}" if key in ("facts", "params", "params_meaning", "metadata") else k): (k, v)
            for k, v in value.items()
        }
        return {name: spoiled(v, text, keep, k) for name, (k, v) in renamed.items()}
    if isinstance(value, list):
        return [spoiled(item, text, keep, key) for item in value]
    return f"{text}{value}" if isinstance(value, str) and not keep(key) else value


def test_same_run_same_bytes_wherever_it_lies(result: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    first = render_report(result, folder)
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert render_report(copy.deepcopy(result), moved) == first
    assert str(tmp_path).encode() not in first


def test_loads_nothing_from_elsewhere(result: dict[str, Any], folder: Path) -> None:
    found = read(result, folder)
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert tag != "script" or not attributes
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith(("#", "./"))
        assert not any(re.search("https?:", value) for value in attributes.values())
    assert "url(" not in found.style
    assert "@import" not in found.style


def test_policy_allows_the_one_style_sheet_and_the_one_script(result: dict[str, Any], folder: Path) -> None:
    found = read(result, folder)
    policies = [m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    rules = {rule.split()[0]: rule.split()[1:] for rule in policies[0].split(";")}
    digest = base64.b64encode(hashlib.sha256(found.style.encode()).digest()).decode()
    assert rules["style-src"] == [f"'sha256-{digest}'"]
    digest = base64.b64encode(hashlib.sha256(found.script.encode()).digest()).decode()
    assert rules["script-src"] == [f"'sha256-{digest}'"]
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["img-src"] == rules["media-src"] == ["data:"]
    assert not any("style" in attributes for _, attributes in found.elements)


def test_is_sound_and_accessible_html(result: dict[str, Any], folder: Path) -> None:
    html = render_report(result, folder)
    found = Page(html)
    assert html.startswith(b"<!DOCTYPE html>\n")
    assert found.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "footer", "title", "h1"):
        assert len(found.all(landmark)) == 1, landmark
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [attributes["href"][1:] for attributes in found.all("a") if attributes["href"].startswith("#")]
    targets += [a["aria-labelledby"] for _, a in found.elements if "aria-labelledby" in a]
    assert set(targets) <= set(ids)
    assert all(image["alt"] for image in found.all("img"))
    assert all(sound["aria-label"] for sound in found.all("audio"))


@pytest.mark.parametrize("verdict", VERDICT_WORDS)
def test_verdict_in_words(verdict: str, result: dict[str, Any], folder: Path) -> None:
    result["verdict"] = verdict
    text = read(result, folder).text
    for other, words in VERDICT_WORDS.items():
        assert (words in text) == (other == verdict)
    assert result["verdict_reason"] in text
    assert "No transcript is offered" in text
    assert "p = 3.4 × 10⁻⁷, once in 2 900 000 such clips" in text
    assert "at most 1 % pass wrongly" in text


def test_no_signal_says_that_the_silence_is_intended(result: dict[str, Any], folder: Path) -> None:
    result["verdict"] = "no-signal"
    result["detection"] |= {"p_value": 0.6, "band_hz": None}
    loud = read(result, folder)
    assert "The recovered sound is not muted: what it plays is noise" in loud.text
    result["audio"]["recovered_48k.wav"] |= {"muted": True, "px_per_unit": None}
    muted = read(result, folder)
    assert "digital silence on purpose" in muted.text
    assert [sound["data-kind"] for sound in muted.all("audio")] == ["raw"]
    assert "nowhere" in muted.text


def test_a_light_signal_is_not_called_sound_nor_given_in_px(result: dict[str, Any], folder: Path) -> None:
    for signal in (result["signal"], result["raw"]):
        signal["quantity"] = "relative brightness"
        for name in ("rms", "peak", "median_sigma"):
            signal[f"{name}_relative"] = signal.pop(f"{name}_px")
    for scale in result["audio"].values():
        scale |= {"unit": "1", "relative_per_unit": scale.pop("px_per_unit")}
    text = read(result, folder).text
    assert "this is not sound" in text
    assert "measured no motion" in text
    assert "RMS relative brightness" in text
    assert "stands for a relative brightness of 0.118096" in text
    assert "Whether that motion is sound" not in text
    assert "Direction of the motion" not in text
    assert "0.04594 px" not in text


def test_undetermined_has_no_p_value(result: dict[str, Any], folder: Path) -> None:
    result["verdict"] = "undetermined"
    result["detection"] |= {"p_value": None, "band_hz": None}
    text = read(result, folder).text
    assert "No probability can be given" in text
    assert "p not stated" in text


def test_every_figure_is_there(result: dict[str, Any], folder: Path) -> None:
    text = read(result, folder).text
    for figure in (
        "5 749 075 bytes", "59.9400599 Hz", "338.7 µs", "(76.00 ± 0.20) µs", "500 µs", "82 %",
        "256 × 160 px at x 16, y 8", "17.6 %", "8000 Hz", "250 µs",
        "1.997 s", "15 976", "0.04594 px", "0.04155 px", "0.1052 px", "0.1048 px",
        "0.001257 px", "0.001313 px", "0.97, 0.242", "4000 Hz", "1389 Hz", "2000 Hz",
        "59.94006, 119.8801, 179.8202, 239.7602 Hz", "181.3 Hz to 3840 Hz", "0.118096 px", "0.121584 px",
        "Frames decoded 118", "Frames missing 2", "3 of them are exact repeats", "118 pictures",
    ):  # fmt: skip
        assert figure in text
    for digest in (result["evidence"]["sha256"], result["evidence"]["decoded_luma_sha256"], *result["files"].values()):
        assert digest in text


def test_every_warning_and_every_step_is_there(result: dict[str, Any], folder: Path) -> None:
    text = read(result, folder).text
    for warning in result["warnings"]:
        assert warning in text
    assert "2 warning(s) apply" in text
    for step in result["method"]:
        for key in ("name", "summary", "reference", "plugin", "source_sha256"):
            assert step[key] in text
    for parameter in ("stripe 32.0", "order 128", "peak_dbfs -1.0", "bands 1, 2", "mode not stated"):
        assert parameter in text
    assert "editable" not in text


def test_editable_plugins_are_pointed_out(result: dict[str, Any], folder: Path) -> None:
    result["method"][1]["editable"] = True
    text = read(result, folder).text
    assert "plugin-of-row-motion, vmforensics 0.1.0 (editable)" in text
    assert text.count("(editable)") == 1
    assert "source can change between runs" in text


def test_what_nobody_stated_is_said_to_be_so(result: dict[str, Any], folder: Path) -> None:
    result["shutter"] |= {"row_time_uncertainty_s": None, "row_time_source": "", "exposure_s": None}
    result["band"] |= {"trusted_up_to_hz": None, "exposure_null_hz": None}
    text = read(result, folder).text
    assert "76 µs, uncertainty not stated source: not stated" in text
    assert "Exposure of a row not stated" in text
    assert "because the row time’s uncertainty is not stated" in text
    assert "the loss at high frequencies is not known" in text


def test_global_shutter_warns_of_folding_and_not_of_rows(result: dict[str, Any], folder: Path) -> None:
    result["shutter"] |= {"kind": "global", "row_time_s": None, "row_time_uncertainty_s": None, "duty": None}
    result["band"] |= {"trusted_up_to_hz": None, "notches_hz": []}
    result["signal"]["synthesised_share"] = result["raw"]["synthesised_share"] = 0.0
    text = read(result, folder).text
    assert "shows at a false, lower frequency" in text
    for rolling in ("Time from row to row", "Readout direction", "Frequencies lost", "Waveform trusted", "Gaps."):
        assert rolling not in text


def test_picture_and_sounds_are_inside_byte_for_byte(result: dict[str, Any], folder: Path) -> None:
    found = read(result, folder)
    sources = [attributes["src"] for tag, attributes in found.elements if tag in ("img", "audio")]
    names = ["spectrogram.png", "raw_48k.wav", "recovered_48k.wav"]
    assert [base64.b64decode(uri.partition("base64,")[2]) for uri in sources] == [
        (folder / name).read_bytes() for name in names
    ]


def test_files_that_the_run_did_not_write_are_not_missed(result: dict[str, Any], folder: Path) -> None:
    result["files"] = {}
    result["audio"] = None
    found = read(result, folder)
    assert "This run wrote no picture" in found.text
    assert "This run wrote no sound file" in found.text
    assert found.all("img") == found.all("audio") == []


def test_native_file_stands_in_for_a_listening_copy(result: dict[str, Any], folder: Path) -> None:
    for name in ("raw_48k.wav", "recovered_48k.wav"):
        del result["files"][name]
    text = read(result, folder).text
    assert "0.117558 px; 8000 Hz, FLOAT" in text
    assert "0.117988 px; 8000 Hz, FLOAT" in text


@pytest.mark.parametrize("audio", [None, [], {"raw_48k.wav": {}}, {"raw_48k.wav": 1, "recovered_48k.wav": None}])
def test_scale_record_of_another_make(audio: object, result: dict[str, Any], folder: Path) -> None:
    result["audio"] = audio
    assert read(result, folder).text.count("Its scale is not stated.") == 2


@pytest.mark.parametrize("name", ["spectrogram.png", "recovered_48k.wav"])
def test_changed_or_lost_file_is_refused(name: str, result: dict[str, Any], folder: Path) -> None:
    (folder / name).write_bytes(b"other")
    with pytest.raises(CustodyError, match=rf"{name}: isn't the file that the run wrote"):
        render_report(result, folder)
    (folder / name).unlink()
    with pytest.raises(CustodyError, match=rf"{name}: the run lists this file, but it can't be read"):
        render_report(result, folder)


def test_large_files_are_linked(result: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "FILE_BYTES", 10)
    found = read(result, folder)
    linked = [a["href"] for a in found.all("a") if a["href"].startswith("./")]
    assert linked == ["./spectrogram.png", "./raw_48k.wav", "./recovered_48k.wav"]
    assert "more than this page has room for" in found.text
    assert found.all("img") == found.all("audio") == []


def test_no_file_outside_the_folder_is_taken_in(result: dict[str, Any], folder: Path) -> None:
    secret = folder.parent / "secret.wav"
    secret.write_bytes(b"secret")
    (folder / "raw_").mkdir()
    result["files"] = {"raw_/../../secret.wav": hashlib.sha256(b"secret").hexdigest()}
    assert base64.b64encode(b"secret") not in render_report(result, folder)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror="alert(1)">',
        "' onmouseover='alert(1)",
        "javascript:alert(1)//",
        "</style><svg onload=alert(1)>",
        "{{ 7*7 }}{% raw %}",
        "--><!--",
        "&lt;&#60;",
    ],
)
def test_hostile_texts_stay_texts(hostile: str, result: dict[str, Any], folder: Path) -> None:
    plain = read(result, folder)
    words = ("verdict", "kind", "files", "sha256")
    bad = spoiled(result, hostile, lambda key: key in words or key.endswith(".wav"))
    bad["clock"]["verdict"] = hostile
    bad["shutter"]["kind"] = "rolling"
    bad["files"] = {**result["files"], f"{hostile}.wav": "00" * 32}
    html = render_report(bad, folder)
    found = Page(html)
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in plain.elements}
    for tag, attributes in found.elements:
        assert attributes.keys() <= ATTRIBUTES, tag
        assert attributes.get("href", "#").startswith(("#", "./"))
        assert attributes.get("src", "data:").startswith("data:")
    assert " ".join(hostile.split()) in found.text
    assert html.count(b"<script") == 1
    assert found.script == plain.script


def test_invisible_characters_are_written_out(result: dict[str, Any], folder: Path) -> None:
    result["evidence"]["name"] = "clip\u202evom.exe\x1b[2J\x00\udc80\u200b.mov"
    result["evidence"]["facts"]["metadata"] = {"title\x07": "a\nb"}
    html = render_report(result, folder)
    text = Page(html).text
    assert r"clip\u202evom.exe\x1b[2J\x00\udc80\u200b.mov" in text
    assert r"title\x07: a\nb" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u200b\u202e]", html.decode())


def test_endless_texts_are_cut_with_notice(result: dict[str, Any], folder: Path) -> None:
    result["evidence"]["facts"] = {"comment": "x" * 10**6, "list": list(range(10**5))}
    html = render_report(result, folder)
    assert len(html) < 100_000
    assert "1000000 characters; the whole is in result.json" in Page(html).text
    assert "99900 more in result.json" in Page(html).text


def test_commands_to_check_it(result: dict[str, Any], folder: Path) -> None:
    text = read(result, folder).text
    for command in (
        "sha256sum CLIP",
        "sha256sum -c manifest-sha256.txt",
        "sed -n 3p ledger.jsonl | sha256sum",
        "vmforensics verify RUN",
        "ffmpeg -noautorotate -i CLIP -map 0:1 -fps_mode passthrough",
        "tamper-evident",
    ):
        assert command in text
    result["evidence"] |= {"files": 12, "facts": {"container": "folder of pictures"}}
    text = read(result, folder).text
    assert "cd CLIP && LC_ALL=C sha256sum * | sha256sum" in text
    assert "ffmpeg" not in text


def test_blanks_for_what_the_case_leaves_open(result: dict[str, Any], folder: Path) -> None:
    text = read(result, folder).text
    assert "Examiner A. Examiner" in text
    assert text.count("first line second line") == 2
    assert "Signature: to be filled in by hand" in text
    result["case"] |= {"examiner": "", "notes": "", "title": ""}
    found = read(result, folder)
    assert "Examiner: to be filled in by hand" in found.text
    assert "Notes of the case" not in found.text
    assert "Words of the case file" not in found.text
    assert "2026-017 · rows · window.mov" in found.text


def test_what_was_not_done_is_said(result: dict[str, Any], folder: Path) -> None:
    text = read(result, folder).text
    for words in (
        "This run kept no picture of the clip",
        "A map of the vibration over the picture was not made in this run",
        "A control without signal (a still region, or frames in random order) was not made",
        "A known motion was not put into the footage",
        "An assessment of what this clip could yield was not made",
        "No calibration lies with this case",
        "This run wrote no numbers (signal.npz)",
        "its custody table is in ledger.jsonl",
    ):
        assert words in text.replace("Its custody", "its custody"), words


def test_controls_are_told(result: dict[str, Any], folder: Path) -> None:
    result["controls"] = {
        "still": {"kind": "still region", "region": [1, 2, 64, 32], "verdict": "signal", "p_value": 0.002,
                  "reason": "it moves too", "rms_px": 0.0011},
        "shuffled": {"verdict": "no-signal", "p_value": 0.7, "reason": "nothing in it"},
        "injection": {"frequency_hz": 300.0, "displacement_px": 0.02, "gain": 0.93, "gain_uncertainty": 0.02,
                      "detection_limit_px": 0.002, "power_curve": [[0.001, 0.1], [0.01, 1.0]], "trials": 10},
        "untold": ["no room for another region"],
    }  # fmt: skip
    result["detection_over_time"] = {
        "times_s": [0.1, 0.2], "statistic": [1.0, 5.0], "threshold": 3.0, "meaning": "in standard deviations",
    }  # fmt: skip
    found = read(result, folder)
    for words in (
        "64 × 32 px at x 1, y 2", "signal (p = 0.002)", "it moves too", "0.0011 px", "no signal (p = 0.7)",
        "300 Hz", "(0.930 ± 0.020)", "0.002 px", "10 trials of each strength", "no room for another region",
        "in standard deviations",
    ):  # fmt: skip
        assert words in found.text, words
    names = [attributes.get("aria-label", "") for attributes in found.all("svg")]
    assert any(name.startswith("Probability of detection") for name in names)
    assert any(name.startswith("The detection statistic") for name in names)


def test_maps_and_frame_are_shown(result: dict[str, Any], folder: Path) -> None:
    for name in ("frame.png", "assessment.png", "vibration_map.png"):
        (folder / name).write_bytes((folder / "spectrogram.png").read_bytes())
        result["files"][name] = result["files"]["spectrogram.png"]
    result["picture"] = {"file": "frame.png", "frame": 59, "time_s": 1.0, "width": 320, "height": 180}
    found = read(result, folder)
    assert "Picture 60 of the clip, at 1 s" in found.text
    assert "was not made in this run" not in found.text.partition("5 Controls")[0].partition("4 Results")[2]
    assert sum("Map of the picture" in image["alt"] for image in found.all("img")) == 2


def test_calibrations_and_assessments_beside_the_runs_are_shown(result: dict[str, Any], folder: Path) -> None:
    (folder / "calibration.png").write_bytes((folder / "spectrogram.png").read_bytes())
    digests = {"calibration.png": result["files"]["spectrogram.png"]}
    told = {"row_time_s": 7.6e-05, "row_time_uncertainty_s": 2e-07, "reason": "an LED said so"}
    calibration = Beside("calibrations/001", folder, ".", told, digests)
    assessment = Beside("assessments/001", folder, ".", {"verdict": "marginal", "reasons": ["too dark"]}, {})
    run = ReportedRun("001", folder, ".", result)
    subject = Subject("case", [run], calibrations=[calibration], assessments=[assessment])
    found = Page(compose(subject).html)
    assert "calibrations/001 (76.00 ± 0.20) µs" in found.text
    assert "an LED said so" in found.text
    assert "marginal" in found.text
    assert "too dark" in found.text
    assert any("row-time calibration" in image["alt"] for image in found.all("img"))


def test_parts_beyond_the_room_are_linked_run_by_run(
    result: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments.Attachments, "__init__", lambda self: _with_room(self, 150))
    runs = [ReportedRun(f"00{k}", folder, f"../runs/00{k}", result) for k in (1, 2)]
    found = Page(compose(Subject("case", runs)).html)
    links = [a["href"] for a in found.all("a") if a["href"].startswith("../")]
    assert "../runs/002/raw_48k.wav" in links
    assert "../runs/001/raw_48k.wav" not in links


def _with_room(files: attachments.Attachments, room: int) -> None:
    files.room, files.taken = room, {}


def test_a_certificate_doesn_t_vouch_for_two_files_under_one_mark(
    result: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments.Attachments, "__init__", lambda self: _with_room(self, 150))
    other = copy.deepcopy(result)
    other["evidence"]["sha256"] = "ab" * 32
    for results, told in (([result, result], False), ([result, other], True)):
        runs = [ReportedRun(f"00{k}", folder, ".", each) for k, each in enumerate(results, 1)]
        page = Page(compose(Subject("case", runs)).html)
        assert ("different files under the mark E1" in page.text) == told
