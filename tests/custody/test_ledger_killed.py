"""A writer that is killed loses nothing that counted, and leaves a ledger that can be gone on with."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_ledger_survives_kills_at_random_moments_and_at_every_write(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, "100"], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["killed"] == 100
    # Two lines cut short, four ways to be struck: in two writes, one write in place, and three synchronisations; and in
    # the shortening of the longer of the two.
    assert counts["struck"] == 2 * 4 * (2 + 1 + 3) + 4
