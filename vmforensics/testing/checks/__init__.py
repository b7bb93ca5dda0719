"""What every stage must do, as checks that a plugin's author runs over their own.

from vmforensics.testing import parametrize_with_checks

@parametrize_with_checks(MyDenoiser)
def test_my_denoiser(check):
    check()
"""

from vmforensics.testing.checks.parametrize import parametrize_with_checks
from vmforensics.testing.checks.run import check_names, check_stage, stage_checks
from vmforensics.testing.checks.stored_frames import StoredFrames
from vmforensics.testing.checks.subject import CheckFailed

__all__ = ["CheckFailed", "StoredFrames", "check_names", "check_stage", "parametrize_with_checks", "stage_checks"]
