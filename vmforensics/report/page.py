"""A run's result as one self-contained HTML page."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vmforensics.report.attachments import EMBEDDED_BYTES, Attachment, attach
from vmforensics.report.quantities import measured, number, percentage, quantity
from vmforensics.report.text import fact, label, visible

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file to listen to.

    Parameters
    ----------
    file : Attachment
    scale : mapping or None
        What wav-scale.json says of it; None where nobody says anything.
    """

    file: Attachment
    scale: Mapping[str, Any] | None


def render_report(result: dict[str, Any], folder: Path) -> bytes:
    """Write a run's report.

    The same run gives the same bytes: the page holds no date and no path, and nothing of the ledger's times.

    Parameters
    ----------
    result
        What the run's result.json says.
    folder
        The run folder, with the picture and sound files that the result lists; any of them may be missing from the
        list, because a case chooses its exporters.

    Returns
    -------
    bytes
        An HTML document in UTF-8 that loads nothing from elsewhere.

    Raises
    ------
    CustodyError
        A file that the result lists isn't the one that the run wrote, or is gone.
    """
    digests: dict[str, str] = result["files"]
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    page = _environment().get_template("report.html.j2")
    text = page.render(
        result=result,
        style=Markup(style),  # noqa: S704 our own file
        content_security_policy=_policy(style),
        spectrogram=attach(folder, "spectrogram.png", digests, "image/png"),
        raw=_sound(folder, result, "raw"),
        recovered=_sound(folder, result, "recovered"),
        embedded_bytes=EMBEDDED_BYTES,
    )
    return text.encode("utf-8")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "fact": fact,
        "label": label,
        "measured": measured,
        "number": number,
        "percentage": percentage,
        "quantity": quantity,
    }
    return environment


def _policy(style: str) -> str:
    """What the page may load: its one style sheet, and pictures and sounds that are part of it (CSP level 3)."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sound(folder: Path, result: Mapping[str, Any], stem: str) -> Sound | None:
    """The listening copy of a signal, or its file at the native rate where there is no copy."""
    copies = sorted(name for name in result["files"] if name.startswith(f"{stem}_") and name.endswith(".wav"))
    for name in (*copies, f"{stem}.wav"):
        file = attach(folder, name, result["files"], "audio/wav")
        if file is not None:
            return Sound(file, _scale(result["audio"], name))
    return None


def _scale(audio: object, name: str) -> Mapping[str, Any] | None:
    """A file's entry in wav-scale.json, which any exporter may have written; None unless it is complete."""
    entry = audio.get(name) if isinstance(audio, Mapping) else None
    if not isinstance(entry, Mapping) or not entry.keys() >= {"unit", "rate_hz", "subtype", "muted"}:
        return None
    scale = [value for key, value in entry.items() if str(key).endswith("_per_unit")]  # px_per_unit, for a displacement
    numbers = len(scale) == 1 and all(isinstance(value, int | float | None) for value in (*scale, entry["rate_hz"]))
    return {**entry, "per_unit": scale[0]} if numbers else None
