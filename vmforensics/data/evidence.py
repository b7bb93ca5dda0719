"""What was handed in: a file, or a folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmforensics.errors import EvidenceMissing, EvidenceUnreadable


@dataclass(frozen=True, slots=True)
class Evidence:
    """One exhibit, by its path; it is only ever opened for reading.

    Parameters
    ----------
    path : Path
        A video file, or a folder holding an image sequence.
    id : str
        The exhibit's name in the case.
    """

    path: Path
    id: str = "E1"

    def files(self) -> tuple[Path, ...]:
        """The files the exhibit is made of: itself, or all files of the folder, hidden ones too, in name order.

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
                return (self.path,)
        except FileNotFoundError as error:
            raise EvidenceMissing(f"{self.path}: no such file", hint="check the path") from error
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise EvidenceMissing(f"{self.path!s}: can't be read: {reason}", hint="check permissions") from error
