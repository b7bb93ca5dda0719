"""The five stages of a recovery, in journey order, as interfaces that plugins implement; and one beside the journey.

    FrameSource → MotionEstimator → SignalCombiner → Denoiser → Exporter          RowTimeCalibrator

A stage is a class with a `name`, a one-line `summary`, a literature `reference` and a pydantic `Params`.
It is created with its parameters, does one thing, keeps no state between calls and prints nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from vmforensics.data import (
    DISPLACEMENT,
    Evidence,
    FrameStream,
    Motion,
    Quantity,
    Recovery,
    RowTime,
    SensorFrames,
    Signal,
)


class StageParams(BaseModel):
    """Base of every stage's parameters: frozen, no unknown keys, no infinities; each field documents its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False, validate_default=True)


class Stage(ABC):
    """What all stages share.

    Attributes
    ----------
    kind : str
        The slot in a run that the stage fills, or its place beside a run; set by the interfaces below.
    name : str
        What a case file calls it: lower case, words joined by hyphens.
    summary : str
        One line for `plugins list`.
    reference : str
        Where the method is described (author, year, DOI), "" for one that needs none.
    Params : type[StageParams]
        Its parameters.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    Params: ClassVar[type[StageParams]] = StageParams

    def __init__(self, params: StageParams | None = None) -> None:
        self._params = self.Params() if params is None else params

    @property
    def params(self) -> Any:
        """The parameters as validated, an instance of `Params`."""
        return self._params


class FrameSource(Stage):
    """Opens evidence as frames."""

    kind = "frame_source"

    @classmethod
    @abstractmethod
    def accepts(cls, evidence: Evidence) -> bool:
        """Whether this source is the one for such evidence, judged cheaply (by its name and first bytes)."""

    @abstractmethod
    def open(self, evidence: Evidence) -> FrameStream:
        """Open evidence for reading.

        Raises
        ------
        EvidenceMissing, EvidenceUnreadable, NoVideo, TooFewFrames
            The evidence can't be read as frames.
        """


class MotionEstimator(Stage):
    """Measures how the scene moves.

    Attributes
    ----------
    quantity : Quantity
        What its motion holds: displacement, unless it measures something else that the rows show.
    masks : bool
        Whether it leaves out the pixels that `SensorFrames.mask` excludes; polygons ask for that.
    reads_coding : bool
        Whether it lives on what a codec tells (`SensorFrames.coded_blocks`), and refuses footage that tells nothing.
        Motion that was read so says it (`Motion.decoded` is False): a tone put into pixels can't control it.
    """

    kind = "motion_estimator"
    quantity: ClassVar[Quantity] = DISPLACEMENT
    masks: ClassVar[bool] = False
    reads_coding: ClassVar[bool] = False

    @abstractmethod
    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure displacement, with its variance, at every instant the frames hold.

        Raises
        ------
        TooFewFrames, RegionError
            There is too little to measure on.
        """


class SignalCombiner(Stage):
    """Turns many displacement samples into one signal on a uniform time line.

    Attributes
    ----------
    selects : bool
        Whether it lets the data choose which channels count. It is then also given either half of the channels alone,
        and what it makes of the two is compared: a choice that noise made in one half finds nothing in the other.
    """

    kind = "signal_combiner"
    selects: ClassVar[bool] = False

    @abstractmethod
    def combine(self, motion: Motion) -> Signal:
        """Combine channels, and rows at their instants, into one signal with its uncertainty."""


class Denoiser(Stage):
    """Takes noise out of a signal."""

    kind = "denoiser"

    @abstractmethod
    def denoise(self, signal: Signal) -> Signal:
        """Return the signal with less noise: same rate, start, length and observed mask."""


class Exporter(Stage):
    """Writes what was found."""

    kind = "exporter"

    @abstractmethod
    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        """Write files into a folder that exists, and return their paths; the same recovery gives the same bytes."""


class RowTimeCalibrator(Stage):
    """Finds the row time of a rolling shutter; no stage of a recovery, but what one needs to know before."""

    kind = "row_time_calibrator"

    @abstractmethod
    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:
        """Measure the row time, or look it up, with its uncertainty; or say why it is indeterminate.

        Parameters
        ----------
        frames
            The clip or the single picture, in the readout order that is assumed; its shutter's row time is unknown (0).
        evidence
            The exhibit itself, for what its file says of the camera; it is only ever opened for reading.

        Raises
        ------
        EvidenceUnreadable, TooFewFrames
            The frames can't be read.
        """


STAGES: tuple[type[Stage], ...] = (FrameSource, MotionEstimator, SignalCombiner, Denoiser, Exporter)
"""The five interfaces in journey order."""

KINDS: tuple[type[Stage], ...] = (*STAGES, RowTimeCalibrator)
"""All interfaces that a plugin can implement: those of a recovery's stages, then those beside it."""
