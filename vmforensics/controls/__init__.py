"""Controls of a run on its own footage: frames in shuffled order, an injected tone, the course of the agreement."""

from vmforensics.controls.course import Course, course_of
from vmforensics.controls.injection import Gain, InjectedFrames, Tone, gain_of
from vmforensics.controls.power import PowerCurve, power_of
from vmforensics.controls.shuffling import shuffled

__all__ = [
    "Course",
    "Gain",
    "InjectedFrames",
    "PowerCurve",
    "Tone",
    "course_of",
    "gain_of",
    "power_of",
    "shuffled",
]
