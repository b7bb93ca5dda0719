"""The short form of the campaign: each way of damage, a few kinds of clips, each recovered in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KINDS = ("h264.mp4", "h264.ts", "mpeg4.avi", "mjpeg.avi", "ffv1.mkv", "pictures.png", "photron.mraw")


def test_damaged_copies_end_in_a_result_or_in_an_error_of_ours() -> None:
    campaign = Path(__file__).with_name("campaign.py")
    command = [sys.executable, campaign, "--copies", "10", "--seed", "4", "--verbose", "--only", *KINDS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 copies, 0 faults" in done.stdout
    assert "frames lost" in done.stdout
    assert done.stdout.count(": result:") >= 4
    assert "EvidenceUnreadable" in done.stdout
