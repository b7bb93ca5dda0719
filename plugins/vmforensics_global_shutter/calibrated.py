"""What registration methods share that read one displacement off a picture: two halves, and each reading calibrated.

Such a method states neither its gain nor its uncertainty. Both are measured here, by parametric bootstrap (Efron 1979,
doi:10.1214/aos/1176344552): pictures with the clip's own texture, moved by known distances and given the clip's own
noise, are read like frames; the slope of the readings is the response, what is left is the noise. Noise in the template
itself, which a moved copy would share, is told by reading the mean of the odd frames against that of the even ones.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.stages import MotionEstimator
from vmforensics_global_shutter.pixel_noise import PixelNoise

Reader = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Reads pictures [shape=(frames, rows, cols), float32, DN]: displacement [shape=(frames, 2), float64, px in x, y].

A picture that can't be read gives NaN.
"""

_CHUNK_PIXELS = 2**19
_ROUNDING = 1 / 12  # DN²; no camera's noise is below that of rounding to whole numbers
_TRIALS = 64  # pictures read to calibrate: σ is known to 9 %, the response to a few thousandths
_CROSSED = 16  # of them read against the other half of the frames, too
_REACH = 0.2  # px; they are moved by up to so much along x and y
_BORDER = 4  # px around the region whose neighbours aren't known, and which isn't read
_RELIABLE = 0.5  # share of slopes and response that is the scene's, not noise; a channel with less isn't kept
_VAGUE = 1.0  # px; neither is one whose noise in one frame is larger
_LEAST = 40  # px each way of the region: either half has 16 px or more
_BEYOND, _FAR = 0.01, 1.0  # share of frames that move farther than so many px from the template
_DRIFT = 0.5  # px


class CalibratedHalves(MotionEstimator):
    """Displacement along x and y of either half of the region, one sample a frame; the base of such estimators.

    The region is cut in two, down or across, whichever leaves the poorer half more texture.
    """

    @abstractmethod
    def reader(self, template: NDArray[np.float64]) -> Reader:
        """What reads the displacement of pictures against a template [shape=(rows, cols), float64, DN]."""

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure two displacements a frame and half, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small, or holds no texture.
        """
        check_size(frames, self.name)
        template = Template.of(frames)
        textured = [k for k, half in enumerate(template.halves()) if template.texture(half).max() > _RELIABLE]
        if not textured:
            raise no_texture(frames)
        halves = [template.halves()[k] for k in textured]
        readers = [self.reader(template.mean[half]) for half in halves]
        readings = np.zeros((frames.frame_count, 2 * len(halves)))
        observed = np.zeros(frames.frame_count, np.bool_)
        noise = PixelNoise(template.mean, template.gradient)
        for index, luma in chunks(frames):
            found = _read(readers, halves, luma)
            seen = np.isfinite(found).all(axis=1)
            readings[index[seen]] = found[seen]
            observed[index[seen]] = True
            noise.add(luma - template.mean.astype(np.float32))
        sigma = np.sqrt(np.maximum(noise.variance(), _ROUNDING) * (1 + 1 / template.count))
        split = [self.reader(template.even[half]) for half in halves]
        response, covariance, reliability = _calibrated(readers, split, halves, template, sigma)
        reliability[np.concatenate([template.texture(half) for half in halves]) < _RELIABLE] = 0.0
        labels = tuple((axis, half) for half in textured for axis in ("x", "y"))
        return _motion(frames, readings, observed, labels, response, covariance, reliability)


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The picture that motion is measured against.

    Parameters
    ----------
    mean, even, odd : ndarray [shape=(rows, cols), float64, DN]
        Temporal mean of all frames, and of every other one.
    count : int
        Number of frames.
    """

    mean: NDArray[np.float64]
    even: NDArray[np.float64]
    odd: NDArray[np.float64]
    count: int

    @classmethod
    def of(cls, frames: SensorFrames) -> Template:
        """Read a clip once.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        """
        totals, count = np.zeros((2, frames.rows, frames.cols)), 0
        for _, luma in chunks(frames):
            for parity in (0, 1):
                totals[(count + parity) % 2] += luma[parity::2].sum(axis=0, dtype=np.float64)
            count += len(luma)
        if count < 3:
            raise TooFewFrames(
                f"only {count} frames could be decoded; motion needs at least 3",
                hint="is the clip damaged, or a picture?",
            )
        return cls(totals.sum(axis=0) / count, totals[0] / ((count + 1) // 2), totals[1] / (count // 2), count)

    @property
    def gradient(self) -> NDArray[np.float64]:
        """Derivatives of the mean along x and y [shape=(2, rows, cols), float64, DN/px]."""
        step = 0.05
        return np.stack([moved(self.mean, -d) - moved(self.mean, d) for d in step * np.eye(2)]) / (2 * step)

    def halves(self) -> list[tuple[slice, slice]]:
        """The two halves of the region without its border, cut where the poorer one has more texture."""
        strength = np.sum(self.gradient**2, axis=0)
        rows, cols = strength.shape
        down, across = slice(_BORDER, rows - _BORDER), slice(_BORDER, cols - _BORDER)
        cuts = []
        if cols >= 2 * rows / 3:
            cuts.append([(down, slice(_BORDER, cols // 2)), (down, slice(cols // 2, cols - _BORDER))])
        if rows >= 2 * cols / 3:
            cuts.append([(slice(_BORDER, rows // 2), across), (slice(rows // 2, rows - _BORDER), across)])
        return max(cuts, key=lambda halves: min(float(strength[half].sum()) for half in halves))

    def texture(self, part: tuple[slice, slice]) -> NDArray[np.float64]:
        """Share of a part's slopes along x and y that even and odd frames agree on [shape=(2,), float64]."""
        from scipy.ndimage import gaussian_filter

        slopes = [np.gradient(gaussian_filter(picture[part], 1.0)) for picture in (self.even, self.odd)]
        products = np.array(
            [[np.sum(a * b) for a, b in ((e, e), (o, o), (e, o))] for e, o in zip(*slopes, strict=True)]
        )
        return np.asarray(products[::-1, 2] / np.sqrt(np.maximum(products[::-1, 0] * products[::-1, 1], 1e-30)))


def check_size(frames: SensorFrames, name: str) -> None:
    """Raise `RegionError` where the region is too small for two halves."""
    if min(frames.rows, frames.cols) < _LEAST:
        raise RegionError(
            f"the region has {frames.rows} rows of {frames.cols} px; {name} needs at least {_LEAST} each way",
            hint="take a larger region",
        )


def no_texture(frames: SensorFrames) -> RegionError:
    """The error where there is nothing to measure motion on."""
    r = frames.rectangle
    return RegionError(
        f"the region {r.x},{r.y},{r.width},{r.height} holds no texture to measure motion on",
        hint="choose a region with edges or a pattern in it",
    )


def moved(picture: NDArray[np.float64], displacement: NDArray[np.float64]) -> NDArray[np.float64]:
    """A picture displaced by (x, y) px, by quintic splines (Unser 1999, doi:10.1109/79.799930)."""
    from scipy import ndimage

    return np.asarray(ndimage.shift(picture, displacement[::-1], order=5, mode="mirror"))


def chunks(frames: SensorFrames) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Frames as float32 in pieces that fit the processor's cache."""
    size = max(1, _CHUNK_PIXELS // (frames.rows * frames.cols))
    for block in frames.blocks():
        for first in range(0, len(block.index), size):
            part = slice(first, first + size)
            yield block.index[part], block.luma[part].astype(np.float32)


def _read(readers: list[Reader], halves: list[tuple[slice, slice]], luma: NDArray[np.float32]) -> NDArray[np.float64]:
    """The halves' readings side by side [shape=(frames, channels), float64, px]."""
    return np.concatenate([read(luma[:, *half]) for read, half in zip(readers, halves, strict=True)], axis=1)


def _calibrated(
    readers: list[Reader],
    split: list[Reader],
    halves: list[tuple[slice, slice]],
    template: Template,
    sigma: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Read moved pictures with noise.

    Returns
    -------
    response : ndarray [shape=(channels, 2), float64]
        What the channels read for a displacement of 1 px along x and along y.
    covariance : ndarray [shape=(channels, channels), float64, px²]
        That of their noise; none between the halves, whose pixels are disjoint.
    reliability : ndarray [shape=(channels,), float64]
        Share of the response that is the scene's; from half the frames against the other half, and Spearman (1910) and
        Brown's 2r/(1 + r) for all of them.
    """
    rng = np.random.default_rng(0)  # the same trials each time: the result is deterministic
    places = rng.uniform(-_REACH, _REACH, (_TRIALS, 2))
    channels = 2 * len(halves)
    readings, crossed = np.zeros((_TRIALS, channels)), np.zeros((_CROSSED, channels))
    for trial, place in enumerate(places):
        noise = sigma * rng.standard_normal(sigma.shape)
        readings[trial] = _read(readers, halves, (moved(template.mean, place) + noise)[None].astype(np.float32))[0]
        if trial < _CROSSED:
            crossed[trial] = _read(split, halves, (moved(template.odd, place) + noise)[None].astype(np.float32))[0]
    design = np.column_stack([places, np.ones(_TRIALS)])
    slope, *_ = np.linalg.lstsq(design, readings, rcond=None)
    across = np.linalg.lstsq(design[:_CROSSED], crossed, rcond=None)[0][:2].T
    response = np.asarray(slope[:2].T, np.float64)
    residual = readings - design @ slope
    covariance = residual.T @ residual / (_TRIALS - design.shape[1])
    covariance[:2, 2:] = covariance[2:, :2] = 0.0
    agreement = np.sum(across * response, axis=1) / np.maximum(np.sum(response**2, axis=1), 1e-30)
    agreement = np.clip(agreement, 0.0, 1.0)
    return response, covariance, 2 * agreement / (1 + agreement)


def _motion(
    frames: SensorFrames,
    readings: NDArray[np.float64],
    observed: NDArray[np.bool_],
    labels: tuple[tuple[str, int], ...],
    response: NDArray[np.float64],
    covariance: NDArray[np.float64],
    reliability: NDArray[np.float64],
) -> Motion:
    """The readings as motion; channels that noise fills are left out."""
    response = response * reliability[:, None]
    strength = np.linalg.norm(response, axis=1)
    useful = (reliability > _RELIABLE) & (strength > 0.1) & (np.sqrt(np.diag(covariance)) < _VAGUE * strength)
    keep = np.flatnonzero(useful)
    if len(keep) == 0:
        raise no_texture(frames)
    displacement = readings - readings[observed].mean(axis=0)
    displacement[~observed] = 0.0
    displacement, response, covariance = displacement[:, keep], response[keep], covariance[np.ix_(keep, keep)]
    precision = np.linalg.inv(covariance) / _excess(displacement[observed], response, covariance)
    return Motion(
        displacement=displacement[:, None].astype(np.float32),
        precision=((precision + precision.T) / 2).astype(np.float32)[None, None],
        observed=observed[:, None],
        frame_times=frames.clock.times,
        row_offsets=np.array([frames.row_offsets().mean()]),
        channels=tuple(
            Channel(f"{axis}, half {half}", (float(x), float(y)), half)
            for (axis, half), (x, y) in zip([labels[c] for c in keep], response, strict=True)
        ),
        frame_rate=frames.clock.rate,
        exposure=frames.shutter.exposure,
        warnings=tuple(warnings_of(frames, displacement[observed])),
    )


def _excess(seen: NDArray[np.float64], response: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """How much larger the noise is than that of independent pixels; 1 if it isn't.

    A codec's noise is correlated from pixel to pixel. What the halves don't have in common, after the best common
    displacement, would have unit variance if the covariance were right.
    """
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    common, _ = np.linalg.qr(root @ response)
    if len(root) <= common.shape[1]:
        return 1.0
    white = seen @ root.T
    white -= white @ common @ common.T
    freedom = int(len(white) * (len(root) - common.shape[1]))
    return max(1.0, float(np.sum(white**2)) / freedom)


def warnings_of(frames: SensorFrames, seen: NDArray[np.float64]) -> Iterator[str]:
    """What to warn of: a rolling shutter, motion and drift that are large for one template.

    Parameters
    ----------
    frames
        The clip.
    seen : ndarray [shape=(observed frames, channels), float64, px]
        What was read.
    """
    if frames.shutter.is_rolling:
        yield "one displacement a frame of a rolling shutter: sound above half the frame rate is lost"
    beyond = float(np.mean(np.abs(seen).max(axis=1) > _FAR))
    if beyond > _BEYOND:
        yield (
            f"the scene moves by more than {_FAR:g} px in {beyond:.0%} of the frames: their displacement is "
            "unreliable; stabilise the clip"
        )
    means = np.array([part.mean(axis=0) for part in np.array_split(seen, max(1, min(10, len(seen) // 30)))])
    drift = float(np.ptp(means, axis=0).max())
    if drift > _DRIFT:
        yield (
            f"the scene drifts by {drift:.1f} px over the clip: beyond {_DRIFT:g} px the gain falls and noise grows; "
            "stabilise the clip, or recover it in shorter parts"
        )
