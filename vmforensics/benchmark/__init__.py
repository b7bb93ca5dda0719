"""Methods compared: each with each on a case, and all of them on clips whose truth is known."""

from vmforensics.benchmark.matrix import Compared, compare_case

__all__ = ["Compared", "compare_case"]
