"""A small case, two runs finished and one failed, whose every text would be markup if it could; and its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmforensics import run_case
from vmforensics.dossier import MadeReport, make_report
from vmforensics.errors import DigestMismatch
from vmforensics.testing import Camera, simulate, write_clip

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
NAME = "\"'><img src=x onerror=alert(2)>.mkv"
CASE = """
version: 1
case: {{id: A-7, title: "{hostile}", examiner: "{hostile}", notes: "{hostile}"}}
evidence: [{{path: '{name}'{sha256}}}]
camera: {{shutter: global, capture_fps: 1000}}
runs:
  - {{name: phase, motion_estimator: local-phase, denoiser: []}}
  - {{name: svd, motion_estimator: image-svd, denoiser: []}}
"""


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case folder; not to be written to but for reports elsewhere."""
    folder = tmp_path_factory.mktemp("cases") / "A-7"
    folder.mkdir()
    clip = simulate(Camera(width=64, height=48, fps=1000, frames=900), scene="print", sound="tone:210", rms_px=0.05)
    write_clip(clip, folder / NAME)
    name = NAME.replace("'", "''")
    wrong = folder / "wrong.yaml"
    wrong.write_text(CASE.format(hostile=HOSTILE, name=name, sha256=f", sha256: {'00' * 32}"))
    with pytest.raises(DigestMismatch):
        run_case(wrong)
    wrong.unlink()
    (folder / "case.yaml").write_text(CASE.format(hostile=HOSTILE, name=name, sha256=""))
    run_case(folder / "case.yaml")
    return folder


@pytest.fixture(scope="session")
def made(case: Path, tmp_path_factory: pytest.TempPathFactory) -> MadeReport:
    """The report of the case, with its PDF where one can be made."""
    pytest.importorskip("weasyprint", reason="weasyprint isn't installed", exc_type=ImportError)
    return make_report(case, tmp_path_factory.mktemp("reports") / "first", pdf=True)
