"""The link budget: from loudness over the picture's motion to the noise, as far as it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmforensics.assessment.floor import Floor

if TYPE_CHECKING:
    from vmforensics.assessment.codec_bound import CodecBound

LOWEST = 80.0
"""Hz; speech begins here."""

BANDS = (1000.0, 3000.0)
"""Hz; upper ends of the bands that detectable motion is told for: the vowels, and all of telephone speech."""

SPEECH_LEVEL = 2.0e-3
"""px; motion that decides between suitable and not: a loud voice, or music, of 80 dB at under two metres."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """How far published experiments saw a light object move.

    Davis et al. 2014, doi:10.1145/2601097.2601119, played 80 to 110 dB at under 2 m and saw 0.002 to 0.03 px RMS. What
    is said of 95 dB is their geometric mean; of a conversation nothing was published, and the figure extrapolates.

    Parameters
    ----------
    name : str
    level : float, dB
        Sound pressure level at the object.
    displacement : float, px
        RMS in the picture.
    """

    name: str
    level: float
    displacement: float


LOUDNESS = (
    Loudness("conversation", 65.0, 1.5e-4),
    Loudness("loud voice or music", 80.0, SPEECH_LEVEL),
    Loudness("very loud music", 95.0, 7.7e-3),
    Loudness("as loud as in published experiments", 110.0, 3.0e-2),
)


@dataclass(frozen=True, slots=True)
class Method:
    """What one way of recovery could show on this clip.

    Parameters
    ----------
    shutter : str
        "rolling" or "global".
    estimator : str
        The motion estimator that the floor was measured with.
    floor : Floor or None
        Its noise on the whole region; None where it couldn't be measured.
    refusal : str
        Why there is none, or why it would be worth nothing; "" otherwise.
    doubt : str
        Why the motion can't be relied on; "" where it can.
    upper : float, Hz
        Highest frequency that it can show.
    gain : float or None
        Share of a small motion that the compression left in the pixels; None where it isn't known. Where it is, the
        motion was inferred from the codec's decisions, and its noise is true to scale.
    exposure : float or None, s
        Exposure of a row or frame.
    duty : float or None
        Share of the time in which rows are read; None for a global shutter, or where the row time isn't known.
    samples_per_second : float
        Rows, or frames, measured in a second.
    frames : int
        How many of the first frames the floor was measured on.
    repeated : int
        How many of these repeat the one before, and show nothing.
    part : (int, int, int, int) or None, px
        Rectangle (x, y, width, height) that it was measured on, and reckoned from it for the whole by what else shows
        motion; None: on the whole.
    bound : CodecBound or None
        What the codec's quantisers left; None of a picture that moves, whose mean is blurred.
    chose : str
        Of an estimator that chooses among methods, which it chose and why; "" of others.
    """

    shutter: str
    estimator: str
    floor: Floor | None
    refusal: str
    doubt: str
    upper: float
    gain: float | None
    exposure: float | None
    duty: float | None
    samples_per_second: float
    frames: int
    repeated: int = 0
    part: tuple[int, int, int, int] | None = None
    bound: CodecBound | None = None
    chose: str = ""

    def detectable(self, highest: float) -> float | None:
        """RMS motion (px) of the scene that equals the noise from 80 Hz up to a frequency; None: nothing seen there."""
        top = min(highest, self.upper)
        if self.floor is None or top <= LOWEST:
            return None
        left = exposure_loss(self.exposure, LOWEST, top)
        noise = self.floor.rms(LOWEST, top)
        return noise / left if noise and left > 0 else None

    def snr(self, displacement: float, highest: float) -> float | None:
        """Expected signal-to-noise ratio (dB) of a motion (px RMS) in a band from 80 Hz up."""
        least = self.detectable(highest)
        return None if least is None else 20 * math.log10(displacement / least)

    def described(self) -> dict[str, Any]:
        """For assessment.json."""
        floor = self.floor
        return {
            "shutter": self.shutter,
            "motion_estimator": self.estimator,
            "method": self.chose or None,
            "refusal": self.refusal or None,
            "doubt": self.doubt or None,
            "upper_limit_hz": self.upper,
            "noise_density_px_per_rthz": floor.density if floor else None,
            "noise_density_at_most_px_per_rthz": floor.most if floor else None,
            "noise_is_firm": floor.firm if floor else None,
            "noise_density_stated_px_per_rthz": floor.stated if floor else None,
            "noise_density_along_row_px_per_rthz": floor.along_row if floor else None,
            "noise_density_across_rows_px_per_rthz": floor.across_rows if floor else None,
            "noise_excess": floor.excess if floor else None,
            "motion_over_stated_noise": floor.seen if floor else None,
            "sample_rate_hz": floor.rate if floor else None,
            "axis_along_row": floor.axis[0] if floor else None,
            "axis_across_rows": floor.axis[1] if floor else None,
            "samples_per_second": self.samples_per_second,
            "frames_measured": self.frames,
            "frames_repeated": self.repeated,
            "part_measured": list(self.part) if self.part else None,
            "duty": self.duty,
            "codec_gain": self.gain,
            "exposure_loss_db": {
                f"{frequency:.0f}_hz": _decibels(exposure_loss(self.exposure, frequency, frequency))
                for frequency in (300.0, 1000.0, 3000.0)
            }
            if self.exposure
            else None,
            "detectable_rms_px": {f"80_{top:.0f}_hz": self.detectable(top) for top in BANDS},
            "expected_snr_db": [
                {
                    "loudness": loud.name,
                    "level_db": loud.level,
                    "displacement_px": loud.displacement,
                    **{f"80_{top:.0f}_hz": self.snr(loud.displacement, top) for top in BANDS},
                }
                for loud in LOUDNESS
            ],
            "codec_bound": self.bound.described(self.upper) if self.bound else None,
        }


def exposure_loss(exposure: float | None, low: float, high: float) -> float:
    """RMS factor that an exposure (s) leaves of a flat spectrum in a band: that of |sin(πfT)/(πfT)|; 1 if unknown.

    Examples
    --------
    >>> round(20 * math.log10(exposure_loss(1 / 120, 300, 300)), 1)
    -17.9
    """
    if not exposure:
        return 1.0
    frequencies = [low + (high - low) * k / 63 for k in range(64)]
    power = [(math.sin(x) / x) ** 2 if x else 1.0 for x in (math.pi * f * exposure for f in frequencies)]
    return math.sqrt(sum(power) / len(power))


def _decibels(factor: float) -> float:
    return 20 * math.log10(max(factor, 1e-12))
