"""What the command-line tests share: the program as a shell calls it, a clip, and a finished run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vmforensics.cli import main
from vmforensics.testing import Camera, simulate, write_clip


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def answer_of(*arguments: object) -> Answer:
    """Run a command in this process, as the console script does."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["vmforensics", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    return Answer(int(end.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def vmf() -> Callable[..., Answer]:
    """Runs a command: vmf("info", clip) → Answer."""
    return answer_of


@pytest.fixture(scope="session")
def shell() -> Callable[..., subprocess.Popen[str]]:
    """Starts a command in a process of its own, as a shell does; the caller waits for it."""

    def start(*arguments: object, path: Path | None = None, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
        return subprocess.Popen(
            [*before, Path(sys.executable).with_name("vmforensics"), *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 jobs in the background ignore it
        )

    return start


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a melody's note at 2200 frames/s, in a file that claims 30, as high-speed cameras write."""
    simulation = simulate(Camera(width=96, height=72, fps=2200, frames=330), sound="tone:310", rms_px=0.03)
    return write_clip(simulation, tmp_path_factory.mktemp("handed in") / "chips.mkv", container_fps=30)


@pytest.fixture(scope="session")
def recovered(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A finished run of the clip by `recover`, not to be written to, and what the command printed."""
    folder = tmp_path_factory.mktemp("runs") / "001"
    return folder, answer_of("recover", clip, "--capture-fps", 2200, "--out", folder)


@pytest.fixture
def case_file(clip: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a case about the clip, or about another exhibit; `more` is appended to it."""

    def write(more: str = "", *, evidence: Path = clip, camera: str = "{shutter: global, capture_fps: 2200}") -> Path:
        path = tmp_path / "case.yaml"
        path.write_text(
            f"version: 1\ncase: {{id: A-1}}\nevidence: [{{path: '{evidence}'}}]\ncamera: {camera}\n{more}",
            encoding="utf-8",
        )
        return path

    return write


def ledger_of(folder: Path) -> list[dict[str, Any]]:
    """A run's ledger entries."""
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def ledger() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads a run's ledger."""
    return ledger_of
