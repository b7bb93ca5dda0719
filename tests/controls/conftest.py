"""Lets the tests import the camera that `tests/false_alarms.py` uses as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
