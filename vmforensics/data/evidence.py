"""What was handed in: a file, or a folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmforensics.errors import EvidenceMissing, EvidenceUnreadable

COMPANIONS = {".mraw": (".cih", ".cihx"), ".cih": (".mraw",), ".cihx": (".mraw",)}
"""Endings of files that say nothing without one another, as a header and its raw pictures (Photron's cameras)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One exhibit, by its path; it is only ever opened for reading.

    Parameters
    ----------
    path : Path
        A video file, or a folder holding an image sequence; of a recording in two files (`COMPANIONS`) either one.
    id : str
        The exhibit's name in the case.
    """

    path: Path
    id: str = "E1"

    def files(self) -> tuple[Path, ...]:
        """The files the exhibit is made of, in name order: itself with its companions, or all files of the folder.

        Hidden files of a folder count. A companion is a file of the same name but for its ending (`COMPANIONS`).

        Raises
        ------
        EvidenceMissing
            The path isn't there, or may not be read.
        EvidenceUnreadable
            It is a pipe or a device.
        """
        try:
            if self.path.is_dir():
                found = sorted(p for p in self.path.iterdir() if p.is_file())
                return tuple(found)
            if self.path.exists() and not self.path.is_file():  # a pipe would block, a device never end
                raise EvidenceUnreadable(
                    f"{self.path}: it is neither a file nor a folder", hint="hand in the recording itself"
                )
            with self.path.open("rb"):
                return self._with_companions()
        except FileNotFoundError as error:
            raise EvidenceMissing(f"{self.path}: no such file", hint="check the path") from error
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise EvidenceMissing(f"{self.path!s}: can't be read: {reason}", hint="check permissions") from error

    def _with_companions(self) -> tuple[Path, ...]:
        endings = COMPANIONS.get(self.path.suffix.lower())
        if endings is None:
            return (self.path,)
        beside = (p for p in self.path.parent.iterdir() if p.stem == self.path.stem and p.suffix.lower() in endings)
        return tuple(sorted({self.path, *(p for p in beside if p.is_file())}))
