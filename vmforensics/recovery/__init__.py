"""From a case to its run folders: planning, the journey itself, and the summary of what was found."""

from vmforensics.recovery.comparison import COMPARISON
from vmforensics.recovery.outcome import Outcome
from vmforensics.recovery.plan import Plan, plan_case
from vmforensics.recovery.run import recover_clip, run_case
from vmforensics.recovery.watch import Watcher

__all__ = ["COMPARISON", "Outcome", "Plan", "Watcher", "plan_case", "recover_clip", "run_case"]
