"""Clips with known truth, for tests, for plugin authors, and for `vmforensics simulate`."""

from vmforensics.testing.camera import Camera, Flicker
from vmforensics.testing.checks import (
    CheckFailed,
    StoredFrames,
    check_names,
    check_stage,
    parametrize_with_checks,
    stage_checks,
)
from vmforensics.testing.encode import CODECS, write_clip, write_image_sequence, write_truth
from vmforensics.testing.occluder import Occluder
from vmforensics.testing.scene import BAND_LIMIT, PHOTOGRAPHS, SCENES, Scene
from vmforensics.testing.simulation import Simulation, Truth, simulate
from vmforensics.testing.sound import SOUNDS, Sound, chirp, melody, recording, silence, speech, tone

__all__ = [
    "BAND_LIMIT",
    "CODECS",
    "PHOTOGRAPHS",
    "SCENES",
    "SOUNDS",
    "Camera",
    "CheckFailed",
    "Flicker",
    "Occluder",
    "Scene",
    "Simulation",
    "Sound",
    "StoredFrames",
    "Truth",
    "check_names",
    "check_stage",
    "chirp",
    "melody",
    "parametrize_with_checks",
    "recording",
    "silence",
    "simulate",
    "speech",
    "stage_checks",
    "tone",
    "write_clip",
    "write_image_sequence",
    "write_truth",
]
