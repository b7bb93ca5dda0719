"""SHA-256 of files, exhibits, source code and decoded frames, each in a form that stock tools can check."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Evidence, FrameBlock, FrameStream, Luma
from vmforensics.errors import CustodyError, EvidenceChanged, EvidenceMissing

_CHUNK = 2**20  # bytes read at a time
_HASH = 32  # bytes of a SHA-256
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def sha256_file(path: Path, *, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file's bytes, read as a stream.

    Parameters
    ----------
    path
        The file; it is opened for reading only.
    progress
        Called with the number of bytes read since the last call.

    Returns
    -------
    str
        64 lower-case hexadecimal digits.

    Raises
    ------
    OSError
        It can't be read.
    """
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return digest.hexdigest()


def sha256sum_line(sha256: str, name: str) -> bytes:
    r"""The line that coreutils' sha256sum prints for a file.

    A name that holds a backslash or a line break is escaped, and its line begins with a backslash.

    Examples
    --------
    >>> sha256sum_line("ab" * 32, "a clip.mp4")[-15:]
    b'ab  a clip.mp4\n'
    >>> sha256sum_line("ab" * 32, "two\nlines")[:5]
    b'\\abab'
    """
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in name)
    return b"%s%s  %s\n" % (b"\\" if escaped != name else b"", sha256.encode(), os.fsencode(escaped))


def sha256_of_listing(digests: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of what sha256sum prints for several files, (name, sha256) pairs, in byte order of their names."""
    listing = sorted(digests, key=lambda pair: os.fsencode(pair[0]))
    return hashlib.sha256(b"".join(sha256sum_line(sha256, name) for name, sha256 in listing)).hexdigest()


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One file of an exhibit.

    Parameters
    ----------
    name : str
        Its name within the exhibit.
    size : int, bytes
    sha256 : str
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class EvidenceDigest:
    """What an exhibit's bytes are.

    Parameters
    ----------
    files : tuple of FileDigest
        Every file of the exhibit, in byte order of their names.
    sha256 : str
        For a single file its own SHA-256; for a folder that of the files' sha256sum listing, which
        `cd FOLDER && LC_ALL=C sha256sum * | sha256sum` repeats; for a recording in two files likewise
        (`sha256sum clip.cihx clip.mraw | sha256sum`).
    """

    files: tuple[FileDigest, ...]
    sha256: str


def digest_evidence(evidence: Evidence, *, progress: Callable[[int], None] | None = None) -> EvidenceDigest:
    """SHA-256 of an exhibit, file by file and as a whole.

    Parameters
    ----------
    evidence
        The exhibit.
    progress
        Called with the number of bytes read since the last call.

    Raises
    ------
    EvidenceMissing
        It isn't there, or can't be read to its end.
    """
    files = []
    for path in evidence.files():
        try:
            files.append(FileDigest(path.name, path.stat().st_size, sha256_file(path, progress=progress)))
        except OSError as error:
            raise EvidenceMissing(
                f"{path}: can't be read: {error.strerror}", hint="check the medium and the permissions"
            ) from error
    files.sort(key=lambda file: os.fsencode(file.name))
    if evidence.path.is_dir() or len(files) > 1:
        return EvidenceDigest(tuple(files), sha256_of_listing((file.name, file.sha256) for file in files))
    return EvidenceDigest(tuple(files), files[0].sha256)


def differences(before: EvidenceDigest, after: EvidenceDigest) -> list[str]:
    """What became of an exhibit's files, one plain sentence a file; empty if all are the same.

    Examples
    --------
    >>> one, other = (FileDigest("a.png", 3, digit * 64) for digit in "12")
    >>> differences(EvidenceDigest((one,), ""), EvidenceDigest((other,), ""))
    ["'a.png' has other content"]
    """
    old = {file.name: file for file in before.files}
    new = {file.name: file for file in after.files}
    found = [f"{name!r} is gone" for name in old if name not in new]
    found += [f"{name!r} was added" for name in new if name not in old]
    found += [f"{name!r} has other content" for name in old if name in new and old[name].sha256 != new[name].sha256]
    return sorted(found)


def check_unchanged(
    evidence: Evidence, before: EvidenceDigest, *, progress: Callable[[int], None] | None = None
) -> EvidenceDigest:
    """Read an exhibit again and compare it with what it was.

    Returns
    -------
    EvidenceDigest
        What it is now, equal to `before`.

    Raises
    ------
    EvidenceChanged
        It differs; the message names the files.
    EvidenceMissing
        It isn't there any more, or can't be read.
    """
    after = digest_evidence(evidence, progress=progress)
    if after.sha256 != before.sha256:
        changed = "; ".join(differences(before, after))
        raise EvidenceChanged(
            f"{evidence.path}: the evidence changed during the run: {changed}",
            hint="make sure that nothing writes to it, and run again",
        )
    return after


def array_digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 of arrays, one after another: each its dtype, shape and bytes, in C order and little-endian.

    Examples
    --------
    >>> array_digest(np.zeros(2)) == array_digest(np.zeros(2)), array_digest(np.zeros(2)) == array_digest(np.zeros(3))
    (True, False)
    """
    digest = hashlib.sha256()
    for array in arrays:
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{plain.dtype.str} {plain.shape}\n".encode())
        digest.update(plain.data)
    return digest.hexdigest()


def source_digest(path: Path) -> str:
    r"""SHA-256 of the source of a package or a module, as it lies on the disk.

    Files are hashed, not an installer's record: that doesn't list the modules of an editable install.

    Parameters
    ----------
    path
        A module file, whose own SHA-256 this is; or a package folder, of which every file but byte code counts:
        `find . -type f ! -name '*.pyc' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`.

    Raises
    ------
    CustodyError
        It isn't there, or can't be read.
    """
    try:
        if not path.is_dir():
            return sha256_file(path)
        digests = []
        for folder, subfolders, names in os.walk(path, onerror=_raise):
            subfolders[:] = [name for name in subfolders if name != "__pycache__"]
            files = [Path(folder, name) for name in names if not name.endswith(".pyc")]
            digests += [(file.relative_to(path).as_posix(), sha256_file(file)) for file in files]
        return sha256_of_listing(digests)
    except OSError as error:
        raise CustodyError(f"source code {path}: can't be read: {error.strerror}") from error


def _raise(error: OSError) -> None:
    raise error


class WatchedStream(FrameStream):
    """A frame stream that digests every frame as it is read, and notices when a later pass differs.

    A frame's hash is the SHA-256 of its coded luma plane, row by row, 16-bit samples little-endian: what
    `ffmpeg -noautorotate -i CLIP -map 0:N -fps_mode passthrough -vf extractplanes=y -f framehash -hash sha256 -` prints
    (FFmpeg 5.1 or newer; N is the number of the video stream), whatever region is analysed.
    Blocks pass through with the same content, but can't be written to. Whatever else the wrapped stream offers
    is offered here.

    Parameters
    ----------
    stream
        The stream to watch.
    progress
        Called with frames done, frames announced and the number of the pass (from 1), after each block.

    Attributes
    ----------
    passes : int
        Passes begun so far.
    decoded_frames : int
        Frames in the first complete pass; 0 before there was one.
    repeated_frames : int
        How many of them equal the frame before.
    """

    def __init__(self, stream: FrameStream, progress: Callable[[int, int, int], None] | None = None) -> None:
        self._stream = stream
        self._progress = progress
        self._hashes: bytes | None = None
        self.passes = 0
        self.decoded_frames = 0
        self.repeated_frames = 0

    def __getattr__(self, name: str) -> object:
        if name == "_stream":  # not set yet: an object being copied or unpickled
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def frame_count(self) -> int:
        """Number of frames the container announces, decodable or not."""
        return self._stream.frame_count

    @property
    def frame_hashes(self) -> tuple[bytes, ...]:
        """SHA-256 of each frame of the first complete pass, 32 bytes each; empty before there was one."""
        return tuple(self._each_hash())

    @property
    def decoded_digest(self) -> str | None:
        """SHA-256 of all frames of a complete pass, None before there was one.

        It is that of the frame hashes in hexadecimal, a line each:
        `ffmpeg ... -f framehash -hash sha256 - | grep -v '^#' | awk '{print $NF}' | sha256sum`.
        """
        if self._hashes is None:
            return None
        lines = hashlib.sha256()
        for frame_hash in self._each_hash():
            lines.update(frame_hash.hex().encode() + b"\n")
        return lines.hexdigest()

    def _each_hash(self) -> Iterator[bytes]:
        hashes = self._hashes or b""
        return (hashes[k : k + _HASH] for k in range(0, len(hashes), _HASH))

    def blocks(self) -> Iterator[FrameBlock]:
        """Read from the first frame on, as the wrapped stream does.

        Raises
        ------
        EvidenceChanged
            A frame isn't what an earlier complete pass decoded, or there are more or fewer of them.
        """
        return self._watched(self._stream.blocks())

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As `blocks`, each with how its frames were coded where the source can tell; they are checked likewise."""
        return self._watched(self._stream.coded_blocks())

    def _watched(self, blocks: Iterator[FrameBlock]) -> Iterator[FrameBlock]:
        self.passes += 1
        number = self.passes
        known = self._hashes
        hashes = bytearray()  # of the first complete pass; later ones are only compared
        done = 0
        # Hashing lets go of the interpreter, so that a block is hashed while its reader works on it.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="frame-hash") as worker:
            for block in blocks:
                luma = block.luma.view()
                luma.flags.writeable = False
                pending = worker.submit(_hash_frames, luma)
                yield FrameBlock(block.index, luma, block.frame_types, block.coding)
                new = pending.result()
                if known is None:
                    hashes += new
                else:
                    _check_same(known[done * _HASH : done * _HASH + len(new)], new, number, done)
                done += len(luma)
                if self._progress is not None:
                    self._progress(done, self.frame_count, number)
        if known is None:
            self._hashes = bytes(hashes)
            self.decoded_frames = done
            each = np.frombuffer(hashes, np.uint8).reshape(-1, _HASH)
            self.repeated_frames = int(np.sum(np.all(each[1:] == each[:-1], axis=1)))
        else:
            _check_same(known[done * _HASH :], b"", number, done)


def _hash_frames(luma: Luma) -> bytes:
    little_endian = luma.dtype.newbyteorder("<")
    return b"".join(hashlib.sha256(np.ascontiguousarray(frame, little_endian).data).digest() for frame in luma)


def _check_same(known: bytes, new: bytes, number: int, first: int) -> None:
    """Raise `EvidenceChanged`, naming the frame, unless the hashes from frame `first` on are the known ones."""
    if known == new:
        return
    same = 0
    while known[same : same + _HASH] == new[same : same + _HASH]:
        same += _HASH
    raise EvidenceChanged(
        f"pass {number} over the frames isn't like the first: decoded frame {first + same // _HASH} (from 0) differs",
        hint="make sure that nothing writes to the evidence; a decoder that isn't repeatable can't be used",
    )
