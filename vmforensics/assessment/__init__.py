"""The assessment of a clip: whether sound can be recovered from it, how faint, and where to look."""

from vmforensics.assessment.run import Knowledge, assess_clip

__all__ = ["Knowledge", "assess_clip"]
