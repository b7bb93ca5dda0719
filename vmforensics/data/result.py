"""What a run found: what exporters and the report show."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vmforensics.data.frames import Luma
from vmforensics.data.signal import Signal
from vmforensics.data.vibration import Vibration


class Verdict(StrEnum):
    """Whether the clip holds a common motion beyond noise."""

    SIGNAL = "signal"
    NO_SIGNAL = "no-signal"
    UNDETERMINED = "undetermined"  # the estimator gave no two independent halves to compare


@dataclass(frozen=True, slots=True)
class Detection:
    """The outcome of the test for a common signal.

    Parameters
    ----------
    verdict : Verdict
    p_value : float or None
        Probability of a statistic at least this large without any signal, over all bands looked at.
    false_alarm_rate : float
        The rate the test was set to: a verdict of `signal` needs a p-value at or below it.
    band : (float, float) or None, Hz
        The band in which the signal is found; None where there is none.
    reason : str
        The verdict in plain words.
    """

    verdict: Verdict
    p_value: float | None
    false_alarm_rate: float
    band: tuple[float, float] | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """One finished recovery.

    Parameters
    ----------
    raw : Signal
        The measured motion on the recovered signal's time line, nothing filled in and nothing filtered.
    recovered : Signal
        The combined and denoised signal.
    detection : Detection
        Whether there is anything in it.
    title : str
        One line that names case, run and evidence, for pictures.
    notches : tuple of float, Hz
        Frequencies that the camera can't see (multiples of a rolling shutter's frame rate).
    vibrations : tuple of Vibration
        What each tile of the picture shares with the motion that was found; empty where it wasn't measured by tiles.
    picture : ndarray [shape=(rows, cols), uint8 or uint16, digital numbers] or None
        One frame as it is stored, to show them on.
    full_scale : int, digital numbers
        Largest code of its pixel format.
    """

    raw: Signal
    recovered: Signal
    detection: Detection
    title: str = ""
    notches: tuple[float, ...] = field(default=())
    vibrations: tuple[Vibration, ...] = field(default=())
    picture: Luma | None = None
    full_scale: int = 255
