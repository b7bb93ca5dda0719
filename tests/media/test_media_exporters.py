"""What is written: sound, numbers and the picture; the same bytes for the same recovery."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from pydantic import ValidationError

from vmforensics.data import Recovery, Signal, Verdict
from vmforensics.stages import Exporter
from vmforensics_media.arrays import Arrays
from vmforensics_media.spectrogram import Spectrogram, spectra
from vmforensics_media.wav import Wav, resampled, write_wav

Make = Callable[..., Recovery]


@pytest.mark.parametrize("stage", [Wav, Spectrogram, Arrays])
def test_same_recovery_same_bytes(stage: type[Exporter], recovery: Make, tmp_path: Path) -> None:
    contents = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        files = stage().export(recovery(), tmp_path / run)
        assert sorted(files) == sorted((tmp_path / run).iterdir())
        contents.append({f.name: f.read_bytes() for f in files})
    assert contents[0] == contents[1]


class TestWav:
    """The sound files."""

    def test_files_and_formats(self, recovery: Make, tmp_path: Path) -> None:
        files = Wav().export(recovery(), tmp_path)
        assert [f.name for f in files] == [
            "recovered.wav", "recovered_48k.wav", "raw.wav", "raw_48k.wav", "wav-scale.json",
        ]  # fmt: skip
        for file in files[:4]:
            info = soundfile.info(file)
            listening = "48k" in file.name
            assert (info.samplerate, info.channels) == (48000 if listening else 2200, 1)
            assert info.subtype == ("PCM_24" if listening else "FLOAT")
            assert abs(info.duration - 0.5) < 1e-4
            assert np.abs(soundfile.read(file)[0]).max() == pytest.approx(10 ** (-1 / 20), rel=1e-6)

    def test_scale_gives_the_displacement_back(self, recovery: Make, tmp_path: Path) -> None:
        made = recovery()
        Wav().export(made, tmp_path)
        scales = json.loads((tmp_path / "wav-scale.json").read_text())
        for name, signal in (("recovered.wav", made.recovered), ("raw.wav", made.raw)):
            samples, _ = soundfile.read(tmp_path / name)
            np.testing.assert_allclose(samples * scales[name]["px_per_unit"], signal.samples, atol=1e-8)
            with soundfile.SoundFile(tmp_path / name) as file:
                assert f"1.0 = {scales[name]['px_per_unit']:.9g} px" in file.comment
        listening, _ = soundfile.read(tmp_path / "recovered_48k.wav")
        tone = listening[4800:-4800] * scales["recovered_48k.wav"]["px_per_unit"]
        assert np.sqrt(2) * tone.std() == pytest.approx(0.02, rel=0.01)

    def test_rate_that_is_no_whole_number_is_stated(self, recovery: Make, tmp_path: Path) -> None:
        rate = 60000 / 1001
        Wav().export(recovery(rate=rate, size=120), tmp_path)
        scale = json.loads((tmp_path / "wav-scale.json").read_text())["recovered.wav"]
        assert scale["rate_hz"] == soundfile.info(tmp_path / "recovered.wav").samplerate == 60
        assert scale["exact_rate_hz"] == rate
        assert soundfile.info(tmp_path / "recovered.wav").frames == 120
        with soundfile.SoundFile(tmp_path / "recovered.wav") as file:
            assert "exact rate 59.9400599401 Hz" in file.comment

    @pytest.mark.parametrize("rate", [2200.0, 60000 / 1001, 2199.7312345, 71000.123])
    def test_resampling_keeps_pitch_and_level(self, rate: float) -> None:
        frequency, seconds = 0.11 * rate, max(0.5, 40 / rate)
        times = np.arange(round(rate * seconds)) / rate
        out = resampled(np.sin(2 * np.pi * frequency * times), rate, 48000)
        middle = slice(len(out) // 4, 3 * len(out) // 4)
        expected = np.sin(2 * np.pi * frequency * np.arange(len(out)) / 48000)
        assert np.abs(out[middle] - expected[middle]).max() < 0.005
        assert len(out) / 48000 == pytest.approx(len(times) / rate, abs=1 / rate + 1 / 48000)

    def test_without_a_signal_the_recovered_sound_is_silence(self, recovery: Make, tmp_path: Path) -> None:
        made = recovery(verdict=Verdict.NO_SIGNAL)
        Wav().export(made, tmp_path)
        scales = json.loads((tmp_path / "wav-scale.json").read_text())
        for name in ("recovered.wav", "recovered_48k.wav"):
            samples, _ = soundfile.read(tmp_path / name)
            assert not samples.any()
            assert scales[name]["muted"] is True
            assert scales[name]["px_per_unit"] is None
        assert len(soundfile.read(tmp_path / "recovered.wav")[0]) == len(made.recovered.samples)
        assert soundfile.read(tmp_path / "raw.wav")[0].any()
        assert scales["raw.wav"]["muted"] is False

    def test_undetermined_is_not_muted(self, recovery: Make, tmp_path: Path) -> None:
        Wav().export(recovery(verdict=Verdict.UNDETERMINED), tmp_path)
        assert soundfile.read(tmp_path / "recovered.wav")[0].any()

    def test_zeros_stay_zeros(self, recovery: Make, tmp_path: Path) -> None:
        for file in Wav().export(recovery(silent=True), tmp_path)[:4]:
            assert not soundfile.read(file)[0].any()

    def test_one_sample(self, recovery: Make, tmp_path: Path) -> None:
        Wav().export(recovery(size=1), tmp_path)
        assert len(soundfile.read(tmp_path / "recovered.wav")[0]) == 1

    def test_24_bit_native(self, recovery: Make, tmp_path: Path) -> None:
        Wav(Wav.Params(native_subtype="PCM_24", peak_dbfs=0)).export(recovery(), tmp_path)
        assert soundfile.info(tmp_path / "raw.wav").subtype == "PCM_24"
        assert np.abs(soundfile.read(tmp_path / "raw.wav")[0]).max() == pytest.approx(1, abs=1e-6)

    def test_file_holds_only_what_was_asked(self, tmp_path: Path) -> None:
        path = tmp_path / "x.wav"
        write_wav(path, np.array([0.5, -1.0, 0.25]), 1000, "PCM_24", "odd")
        data = path.read_bytes()
        assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
        names, place = [], 12
        while place < len(data):
            names.append(data[place : place + 4])
            size = struct.unpack("<I", data[place + 4 : place + 8])[0]
            place += 8 + size + size % 2
        assert names == [b"fmt ", b"LIST", b"data"]
        np.testing.assert_allclose(soundfile.read(path)[0], [0.5, -1.0, 0.25], atol=1e-6)

    @pytest.mark.parametrize("params", [{"peak_dbfs": 1}, {"listening_rate": 100}, {"native_subtype": "MP3"}])
    def test_parameters_are_checked(self, params: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Wav.Params.model_validate(params)


class TestArrays:
    """The NumPy archive."""

    def test_contents(self, recovery: Make, tmp_path: Path) -> None:
        made = recovery()
        [path] = Arrays().export(made, tmp_path)
        with np.load(path, allow_pickle=False) as arrays:
            np.testing.assert_array_equal(arrays["samples_px"], made.recovered.samples)
            np.testing.assert_array_equal(arrays["sigma_px"], made.recovered.sigma)
            np.testing.assert_array_equal(arrays["observed"], made.recovered.observed)
            np.testing.assert_array_equal(arrays["times_s"], made.recovered.times)
            np.testing.assert_array_equal(arrays["raw_px"], made.raw.samples)
            np.testing.assert_array_equal(arrays["raw_sigma_px"], made.raw.sigma)
            np.testing.assert_array_equal(arrays["raw_observed"], made.raw.observed)
            assert arrays["rate_hz"] == 2200
            assert arrays["axis"].tolist() == [0.6, 0.8]


class TestSpectrogram:
    """The picture."""

    @pytest.mark.parametrize("size", [1, 2, 10, 700])
    def test_any_length_is_drawn(self, recovery: Make, tmp_path: Path, size: int) -> None:
        [path] = Spectrogram(Spectrogram.Params(dpi=50)).export(recovery(size=size), tmp_path)
        with Image.open(path) as picture:
            assert picture.size == (550, 430)
            assert "Software" not in picture.info
            assert np.asarray(picture.convert("L")).std() > 10

    def test_silence_is_drawn(self, recovery: Make, tmp_path: Path) -> None:
        made = recovery(silent=True, verdict=Verdict.NO_SIGNAL)
        assert Spectrogram(Spectrogram.Params(dpi=50)).export(made, tmp_path)[0].stat().st_size > 1000

    def test_user_settings_do_not_change_the_picture(
        self, recovery: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import matplotlib as mpl

        stage = Spectrogram(Spectrogram.Params(dpi=50))
        plain = stage.export(recovery(), tmp_path)[0].read_bytes()
        monkeypatch.setitem(mpl.rcParams, "axes.facecolor", "red")
        assert stage.export(recovery(), tmp_path)[0].read_bytes() == plain

    @pytest.mark.parametrize(("rate", "window"), [(2200.0, 0.04), (8000.0, 0.1), (59.94, 1.0)])
    def test_level_is_the_rms_of_a_sine_re_one_pixel(self, rate: float, window: float) -> None:
        size = round(rate * window * 20)
        samples = 0.02 * np.sqrt(2) * np.sin(2 * np.pi * 0.2 * np.arange(size))
        signal = Signal(samples, rate, 0.0, np.ones(size, bool), np.zeros(size))
        shown = spectra(signal, window)
        middle = shown.level[:, shown.level.shape[1] // 2]
        assert middle.max() == pytest.approx(20 * np.log10(0.02), abs=0.2)
        assert np.argmax(middle) / (len(middle) - 1) * shown.top == pytest.approx(0.2 * rate, abs=1 / window)
        assert shown.stop - shown.start == pytest.approx(size / rate, rel=0.05)
