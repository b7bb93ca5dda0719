"""How close a recovered sound comes to a reference: alignment, scores with confidence intervals, a picture."""

from vmforensics.evaluation.alignment import Aligned, align
from vmforensics.evaluation.evaluate import evaluate
from vmforensics.evaluation.recording import Recording, read_recovered, read_reference
from vmforensics.evaluation.scores import METRICS, USUAL, scored

__all__ = [
    "METRICS",
    "USUAL",
    "Aligned",
    "Recording",
    "align",
    "evaluate",
    "read_recovered",
    "read_reference",
    "scored",
]
