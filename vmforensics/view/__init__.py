"""The review page: look, listen, draw a region, start a run; on this computer only, and into the same ledgers."""

from vmforensics.view.review import Review
from vmforensics.view.server import ReviewServer

__all__ = ["Review", "ReviewServer"]
