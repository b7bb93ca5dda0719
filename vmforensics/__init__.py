"""Recovers sound from silent video, as evidence.

    evidence file → frames → motion → signal → denoised signal → artefacts      all of it under one ledger

From Python the same is done by `recover_clip`, `run_case` and `verify`; `simulate` makes clips with known truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Registry", "__version__", "read_case", "recover_clip", "run_case", "simulate", "verify"]

if TYPE_CHECKING:
    from vmforensics.case import read_case
    from vmforensics.custody.verify import verify
    from vmforensics.plugins import Registry
    from vmforensics.recovery import recover_clip, run_case
    from vmforensics.testing import simulate

_HOMES = {
    "Registry": "plugins",
    "read_case": "case",
    "recover_clip": "recovery",
    "run_case": "recovery",
    "simulate": "testing",
    "verify": "custody",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module when it is first used: `import vmforensics` itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
