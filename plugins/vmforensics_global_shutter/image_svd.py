"""Motion by singular value decomposition: the pattern that the pixels of a sub-image change in together."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.errors import RegionError
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics_global_shutter.calibrated import Template, check_size, chunks, moved, warnings_of
from vmforensics_global_shutter.pixel_noise import PixelNoise

_ROUNDING = 1 / 12  # DN²
_FITTED = 500  # frames of each kind that the patterns are found on
_TEXTURED = 0.5  # share of slopes that even and odd frames must agree on
_FAINT = 0.01  # of the clearer direction's information; a direction with less isn't told from it
_STEP = 0.05  # px


class ImageSVDParams(StageParams):
    """Parameters of `image-svd`."""

    size: int = Field(default=64, ge=16, le=256, description="Height and width of the sub-images at most, in px")
    components: int = Field(
        default=2, ge=1, le=8, description="Image bases taken from each decomposition; 2 for motion in any direction"
    )


class ImageSVD(MotionEstimator):
    """Projection of two sub-images, frame by frame, on the image bases of their singular value decomposition.

    The sub-images, one in either half of the region where there is most texture, are written as the columns of a
    matrix; its left singular vectors are pictures of how the pixels change together, and what a frame holds of them is
    the motion, up to scale. Brightness (gain and offset) is taken out first. Each frame is projected on bases that
    other frames gave (even on odd, odd on even), for a basis fits the noise of its own frames, too. Scale and direction
    come from the bases' projection on the still picture's derivatives, uncertainty from the pixels' noise.
    """

    name: ClassVar[str] = "image-svd"
    summary: ClassVar[str] = "Singular value decomposition of two sub-images, scaled to px"
    reference: ClassVar[str] = "Zhang, Guo, Lei & Zhu 2016, doi:10.1063/1.4961979"
    Params: ClassVar[type[StageParams]] = ImageSVDParams

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure two displacements a frame and sub-image, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small, or holds no texture.
        """
        check_size(frames, self.name)
        template = Template.of(frames)
        places = [_richest(template, half, self.params.size) for half in template.halves()]
        slopes = np.stack([moved(template.mean, -d) - moved(template.mean, d) for d in _STEP * np.eye(2)]) / (2 * _STEP)
        patterns, variances = _patterns(frames, template, places, slopes, self.params.components)
        displacement = np.zeros((frames.frame_count, 4))
        precision = np.zeros((frames.frame_count, 4, 4))
        observed = np.zeros(frames.frame_count, np.bool_)
        for side, place in enumerate(places):
            known = template.texture(place) > _TEXTURED
            axes = slice(2 * side, 2 * side + 2)
            readers = [_reader(p, slopes[:, *place] * known[:, None, None], variances[side]) for p in patterns[side]]
            count = 0
            for index, luma in chunks(frames):
                change = (luma[:, *place] - template.mean[place]).reshape(len(luma), -1)
                for parity in (0, 1):
                    mine = slice((count + parity) % 2, None, 2)
                    weights, information = readers[parity]
                    displacement[index[mine], axes] = change[mine] @ weights.T
                    precision[index[mine], axes, axes] = information
                observed[index] = True
                count += len(luma)
        return _motion(frames, displacement, precision * (1 + 1 / template.count) ** -1, observed)


def _richest(template: Template, half: tuple[slice, slice], size: int) -> tuple[slice, slice]:
    """The sub-image of a half with most texture."""
    strength = np.sum(template.gradient**2, axis=0)
    total = np.pad(strength.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    height, width = (min(size, s.stop - s.start) for s in half)
    tops, lefts = (range(s.start, s.stop - n + 1, max(1, n // 4)) for s, n in zip(half, (height, width), strict=True))

    def energy(corner: tuple[int, int]) -> float:
        y, x = corner
        return float(total[y + height, x + width] - total[y, x + width] - total[y + height, x] + total[y, x])

    y, x = max(product(tops, lefts), key=energy)
    return slice(y, y + height), slice(x, x + width)


def _patterns(
    frames: SensorFrames,
    template: Template,
    places: list[tuple[slice, slice]],
    slopes: NDArray[np.float64],
    components: int,
) -> tuple[list[list[NDArray[np.float64]]], list[NDArray[np.float64]]]:
    """Image bases of each sub-image, for the even frames (found on the odd ones) and for the odd.

    Returns
    -------
    patterns : for each sub-image and parity ndarray [shape=(pixels, components), float64]
        Orthonormal, and orthogonal to changes of brightness.
    variances : for each sub-image ndarray [shape=(pixels,), float64, DN²]
        Of the pixels' noise.
    """
    stride = max(1, template.count // (2 * _FITTED))
    kept: list[list[list[NDArray[np.float32]]]] = [[[], []] for _ in places]
    noise = [PixelNoise(template.mean[place], slopes[:, *place]) for place in places]
    count = 0
    for _, luma in chunks(frames):
        for side, place in enumerate(places):
            change = luma[:, *place] - template.mean[place].astype(np.float32)
            noise[side].add(change)
            for n, picture in enumerate(change, count):
                if n // 2 % stride == 0:
                    kept[side][1 - n % 2].append(picture.ravel())  # what odd frames show serves the even ones
        count += len(luma)
    patterns = [
        [_bases(np.array(pictures), template.mean[place].ravel(), components) for pictures in folds]
        for folds, place in zip(kept, places, strict=True)
    ]
    return patterns, [np.maximum(part.variance(), _ROUNDING).ravel() for part in noise]


def _bases(change: NDArray[np.float32], template: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """Leading left singular vectors of the pictures' matrix, from its smaller Gram matrix."""
    from scipy.linalg import eigh

    brightness, _ = np.linalg.qr(np.stack([np.ones_like(template), template], axis=1))
    pictures = change.astype(np.float64)
    pictures -= (pictures @ brightness) @ brightness.T
    last = len(pictures) - 1
    power, times = eigh(pictures @ pictures.T, subset_by_index=(max(0, last - components + 1), last))
    leading = power > 1e-12 * max(float(power.max()), 1.0)
    return np.asarray(pictures.T @ times[:, leading] / np.sqrt(power[leading]))


def _reader(
    patterns: NDArray[np.float64], slopes: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What turns a change of the picture into (x, y), and the information in that.

    With bases U, derivatives S and noise Σ, U reads R·d with R = -UᵀS and covariance C = UᵀΣU: least squares.

    Returns
    -------
    weights : ndarray [shape=(2, pixels), float64, px/DN]
    information : ndarray [shape=(2, 2), float64, 1/px²]
        0 in a direction that the bases don't show.
    """
    response = -patterns.T @ slopes.reshape(2, -1).T
    covariance = patterns.T @ (variance[:, None] * patterns)
    gain = response.T @ np.linalg.pinv(covariance, hermitian=True)
    strength, axes = np.linalg.eigh(gain @ response)
    sure = strength > _FAINT * max(float(strength.max(initial=0.0)), 1e-12)
    axes, strength = axes[:, sure], strength[sure]
    return axes / strength @ axes.T @ gain @ patterns.T, axes * strength @ axes.T


def _motion(
    frames: SensorFrames, displacement: NDArray[np.float64], precision: NDArray[np.float64], observed: NDArray[np.bool_]
) -> Motion:
    """The readings as motion, their noise no smaller than what the sub-images don't have in common."""
    informed = np.einsum("fcc->c", precision) > 0
    if not informed.any():
        r = frames.rectangle
        raise RegionError(
            f"in the region {r.x},{r.y},{r.width},{r.height} nothing with texture changes from frame to frame",
            hint="choose another region; in a clip without any noise there is nothing to decompose",
        )
    displacement[observed] -= displacement[observed].mean(axis=0)
    excess = _excess(displacement[observed], precision[observed])
    channels = [Channel(f"{n}, half {h}", a, h) for h in (0, 1) for n, a in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))]
    keep = np.flatnonzero(informed)
    return Motion(
        displacement=displacement[:, None, keep].astype(np.float32),
        precision=(precision[:, None][:, :, keep][:, :, :, keep] / excess).astype(np.float32),
        observed=observed[:, None],
        frame_times=frames.clock.times,
        row_offsets=np.array([frames.row_offsets().mean()]),
        channels=tuple(channels[c] for c in keep),
        frame_rate=frames.clock.rate,
        exposure=frames.shutter.exposure,
        warnings=tuple(warnings_of(frames, displacement[observed])),
    )


def _excess(seen: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """How much larger the noise is than that of independent pixels, 1 if it isn't.

    From what the sub-images don't have in common, in the direction that both know best: a codec's noise is correlated
    from pixel to pixel.
    """
    halves = [slice(0, 2), slice(2, 4)]
    _, axes = np.linalg.eigh(sum(precision[:, h, h].mean(axis=0) for h in halves))
    moments = [np.einsum("a,fab,fb->f", axes[:, 1], precision[:, h, h], seen[:, h]) for h in halves]
    known = [np.einsum("a,fab,b->f", axes[:, 1], precision[:, h, h], axes[:, 1]) for h in halves]
    both = (known[0] > 0) & (known[1] > 0)
    if not both.any():
        return 1.0
    first, second = (m[both] / k[both] for m, k in zip(moments, known, strict=True))
    return max(1.0, float(np.mean((first - second) ** 2 / (1 / known[0][both] + 1 / known[1][both]))))
