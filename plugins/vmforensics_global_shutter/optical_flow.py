"""Motion by dense optical flow, averaged where the picture has texture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.stages import StageParams
from vmforensics.units import Pixels
from vmforensics_global_shutter.calibrated import CalibratedHalves, Reader


class OpticalFlowParams(StageParams):
    """Parameters of `optical-flow`."""

    radius: int = Field(default=7, ge=2, le=64, description="Radius of the window around each pixel, in px")
    smoothing: Pixels = Field(
        default=2.0, ge=0, le=8, description="Standard deviation of the Gaussian that pictures are smoothed with, in px"
    )


class OpticalFlow(CalibratedHalves):
    """Mean of scikit-image's iterative Lucas-Kanade flow from the temporal mean to each frame. Slow.

    A pixel counts by the smaller eigenvalue of the template's structure tensor in its window (Shi & Tomasi 1994), for
    without texture in two directions its flow is a guess.
    """

    name: ClassVar[str] = "optical-flow"
    summary: ClassVar[str] = "Dense Lucas-Kanade flow (scikit-image), averaged where there is texture; slow"
    reference: ClassVar[str] = "Lucas & Kanade 1981; Le Besnerais & Champagnat 2005, doi:10.1109/ICIP.2005.1529706"
    Params: ClassVar[type[StageParams]] = OpticalFlowParams

    def reader(self, template: NDArray[np.float64]) -> Reader:
        """See `CalibratedHalves.reader`."""
        from scipy.ndimage import gaussian_filter, uniform_filter
        from skimage.registration import optical_flow_ilk

        flow: Callable[..., Any] = optical_flow_ilk
        radius: int = self.params.radius

        def smooth(picture: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
            return np.asarray(gaussian_filter(picture, self.params.smoothing), dtype=np.float32)

        reference = smooth(template)
        rise, run = np.gradient(reference.astype(np.float64))
        xx, yy, xy = (uniform_filter(p, 2 * radius + 1) for p in (run * run, rise * rise, run * rise))
        smaller = (xx + yy) / 2 - np.sqrt((xx - yy) ** 2 / 4 + xy**2)
        weight = np.maximum(smaller, 0.0)
        weight /= weight.sum() or 1.0

        def read(luma: NDArray[np.float32]) -> NDArray[np.float64]:
            found = np.empty((len(luma), 2))
            for n, picture in enumerate(luma):
                down, along = flow(reference, smooth(picture), radius=radius, num_warp=1)
                found[n] = np.sum(weight * along), np.sum(weight * down)
            return found

        return read
