"""Every error a user can cause, one class and one exit code per cause.

The command line catches `VmforensicsError` and nothing else: whatever else escapes is a bug, and is
reported as one. A message names the culprit, its value and what was allowed; the hint says what to do.
"""

from __future__ import annotations


class VmforensicsError(Exception):
    """Base of all errors that are the input's or the environment's fault, not the program's.

    Parameters
    ----------
    message
        What is wrong: the culprit, its value, what was allowed.
    hint
        What the user can do about it, or None.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class EvidenceMissing(VmforensicsError):
    """The evidence isn't there, or can't be read for want of permission."""

    exit_code = 10


class EvidenceUnreadable(VmforensicsError):
    """The evidence is there, but is no video that can be decoded (empty, damaged, another kind of file)."""

    exit_code = 11


class NoVideo(VmforensicsError):
    """The file is intact but holds no picture (audio only)."""

    exit_code = 12


class TooFewFrames(VmforensicsError):
    """Fewer frames than motion can be measured on."""

    exit_code = 13


class FrameSizeChanged(VmforensicsError):
    """The frames don't all have one size and pixel format."""

    exit_code = 14


class DigestMismatch(VmforensicsError):
    """The evidence isn't the one the case names: its SHA-256 differs from the expected one."""

    exit_code = 15


class EvidenceChanged(VmforensicsError):
    """The evidence changed while it was being read."""

    exit_code = 16


class TimingError(VmforensicsError):
    """The clip's clock can't be established (broken stamps, no rate, impossible row time)."""

    exit_code = 17


class Unsuitable(VmforensicsError):
    """The footage doesn't allow this kind of recovery; sound from it would be made up."""

    exit_code = 18


class CaseError(VmforensicsError):
    """The case file isn't valid: syntax, types, unknown or duplicate keys."""

    exit_code = 20


class UnknownPlugin(VmforensicsError):
    """The case or the user names a stage or plugin that isn't installed."""

    exit_code = 21


class ParameterError(VmforensicsError):
    """A stage's parameter is unknown, of the wrong type or out of range.

    Parameters
    ----------
    key
        The path of the parameter within the stage's parameters, so that a case file's line can be named.
    """

    exit_code = 22

    def __init__(self, message: str, *, hint: str | None = None, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.key = key


class RegionError(VmforensicsError):
    """The region of interest doesn't lie in the frame, or is too small."""

    exit_code = 23


class OutputError(VmforensicsError):
    """The output folder can't be used (not writable, not empty, inside the evidence, disk full)."""

    exit_code = 30


class NotEnoughMemory(VmforensicsError):
    """The memory isn't enough for this footage and these settings."""

    exit_code = 31


class PluginError(VmforensicsError):
    """A plugin can't be loaded, or its registration breaks the rules."""

    exit_code = 40


class StageError(VmforensicsError):
    """A stage raised, or returned what its interface doesn't allow."""

    exit_code = 41


class ExtraMissing(VmforensicsError):
    """Something optional that was asked for isn't installed here."""

    exit_code = 42


class CustodyError(VmforensicsError):
    """The ledger or the run folder can't be written or read as it must."""

    exit_code = 50


class VerificationFailed(VmforensicsError):
    """`verify` found at least one deviation."""

    exit_code = 51


class ReplayDiffers(VmforensicsError):
    """`replay` or `validate` found at least one run that doesn't come out as recorded."""

    exit_code = 52


class KeyFileError(VmforensicsError):
    """A key can't be used: it isn't there, is of another kind, open to others, or its passphrase is wrong."""

    exit_code = 53


class TimeStampError(VmforensicsError):
    """A time-stamping authority can't be reached, or its answer is no time stamp of what was sent."""

    exit_code = 54
