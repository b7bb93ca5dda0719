"""Writes the samples as a table that any program reads."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from vmforensics.data import Recovery
from vmforensics.stages import Exporter, StageParams


class MyStageParams(StageParams):
    """Parameters of `my-stage`."""

    digits: int = Field(default=9, ge=1, le=17, description="significant digits of each number")


class MyStage(Exporter):
    """One line a sample: time, value, standard uncertainty, and whether the camera saw it."""

    name: ClassVar[str] = "my-stage"
    summary: ClassVar[str] = "the recovered samples as comma-separated values"
    Params: ClassVar[type[StageParams]] = MyStageParams

    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        """Write my-stage.csv; the names of its columns end in their units."""
        signal, digits = recovery.recovered, self.params.digits
        unit = signal.quantity.suffix
        lines = [f"time_s,sample_{unit},sigma_{unit},observed"]
        for time, sample, sigma, seen in zip(
            signal.times.tolist(),
            signal.samples.tolist(),
            signal.sigma.tolist(),
            signal.observed.tolist(),
            strict=True,
        ):
            lines.append(f"{time:.{digits}g},{sample:.{digits}g},{sigma:.{digits}g},{int(seen)}")
        path = into / "my-stage.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [path]
