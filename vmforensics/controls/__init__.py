"""Controls of a run on its own footage: shuffled frames, no light, an injected tone, the course of the agreement."""

from vmforensics.controls.course import Course, course_of
from vmforensics.controls.injection import Gain, InjectedFrames, Tone, gain_of
from vmforensics.controls.lighting import Lighting
from vmforensics.controls.power import PowerCurve, power_of
from vmforensics.controls.shuffling import shuffled

__all__ = [
    "Course",
    "Gain",
    "InjectedFrames",
    "Lighting",
    "PowerCurve",
    "Tone",
    "course_of",
    "gain_of",
    "power_of",
    "shuffled",
]
