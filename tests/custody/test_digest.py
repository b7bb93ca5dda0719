import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from vmforensics.custody.digest import (
    WatchedStream,
    check_unchanged,
    differences,
    digest_evidence,
    sha256_file,
    sha256sum_line,
    source_digest,
)
from vmforensics.data import Evidence, FrameBlock, FrameStream, Luma
from vmforensics.errors import CustodyError, EvidenceChanged, EvidenceMissing

ODD_NAMES = [
    "plain",
    "two words",
    "back\\slash",
    "line\nfeed",
    "carriage\rreturn",
    "umlaut-ü",
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
]


class Clip(FrameStream):
    """Frames given as an array for each pass, in blocks of three."""

    def __init__(self, *passes: Luma) -> None:
        self._passes = iter(passes)
        first = passes[0]
        self.height, self.width = first.shape[1:]
        self.full_scale = int(np.iinfo(first.dtype).max)
        self.stamps = np.arange(len(first) + 1) / 25  # one of them can't be decoded
        self.stamp_resolution = 0.04
        self.declared_rate = 25.0
        self.facts = {"codec": "none"}
        self.complaints: list[str] = []
        self.serial_number = "C-17"

    def blocks(self) -> Iterator[FrameBlock]:
        luma = next(self._passes)
        for k in range(0, len(luma), 3):
            yield FrameBlock(np.arange(k, min(k + 3, len(luma))), luma[k : k + 3])


def shell(command: str, cwd: Path) -> str:
    return subprocess.run(["bash", "-c", command], cwd=cwd, check=True, capture_output=True, text=True).stdout.split()[
        0
    ]


@pytest.fixture
def frames() -> Luma:
    return np.random.default_rng(1).integers(0, 256, (8, 5, 7), dtype=np.uint8)


def test_a_files_digest_is_sha256sums(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    clip.write_bytes(bytes(range(256)) * 10_000)
    read: list[int] = []
    assert sha256_file(clip, progress=read.append) == shell("sha256sum clip.avi", tmp_path)
    assert sum(read) == clip.stat().st_size
    assert len(read) > 1
    with pytest.raises(FileNotFoundError):
        sha256_file(tmp_path / "none")


def test_the_line_is_sha256sums_whatever_the_name(tmp_path: Path) -> None:
    for name in ODD_NAMES:
        (tmp_path / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        printed = subprocess.run(["sha256sum", "--", name], cwd=tmp_path, check=True, capture_output=True).stdout
        assert sha256sum_line(sha256_file(tmp_path / name), name) == printed


def test_a_single_file_is_digested_as_itself(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    clip.write_bytes(b"frames")
    digest = digest_evidence(Evidence(clip))
    assert digest.sha256 == hashlib.sha256(b"frames").hexdigest()
    assert [(file.name, file.size, file.sha256) for file in digest.files] == [("clip.avi", 6, digest.sha256)]


def test_a_folder_is_digested_as_a_listing_that_sha256sum_repeats(tmp_path: Path) -> None:
    for k, name in enumerate(["b", "B", "a-10", "a-9", *ODD_NAMES]):
        (tmp_path / name).write_bytes(bytes([k]))
    digest = digest_evidence(Evidence(tmp_path))
    assert digest.sha256 == shell("LC_ALL=C sha256sum -- * | sha256sum", tmp_path)
    assert len(digest.files) == 4 + len(ODD_NAMES)


def test_evidence_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EvidenceMissing, match=r"none\.avi"):
        digest_evidence(Evidence(tmp_path / "none.avi"))


def test_evidence_that_changes_is_noticed_file_by_file(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    evidence = Evidence(tmp_path)
    before = digest_evidence(evidence)
    assert check_unchanged(evidence, before) == before
    (tmp_path / "a").write_text("A")
    (tmp_path / "b").rename(tmp_path / "d")
    assert differences(before, digest_evidence(evidence)) == ["'a' has other content", "'b' is gone", "'d' was added"]
    with pytest.raises(EvidenceChanged, match="'a' has other content; 'b' is gone; 'd' was added"):
        check_unchanged(evidence, before)


def test_a_packages_digest_is_that_of_its_files_without_byte_code(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "sub" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sub" / "data.bin").write_bytes(b"\0")
    before = source_digest(package)
    by_hand = r"find . -type f ! -name '*.pyc' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    assert before == shell(by_hand, package)
    (package / "sub" / "__pycache__" / "m.cpython-311.pyc").write_bytes(b"1")
    (package / "old.pyc").write_bytes(b"1")
    assert source_digest(package) == before
    (package / "sub" / "data.bin").rename(package / "sub" / "data2.bin")
    assert source_digest(package) != before


def test_a_modules_digest_is_its_files(tmp_path: Path) -> None:
    module = tmp_path / "plugin.py"
    module.write_text("x = 1\n")
    assert source_digest(module) == sha256_file(module)
    with pytest.raises(CustodyError, match="gone"):
        source_digest(tmp_path / "gone.py")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_frame_hashes_are_those_of_the_little_endian_luma(frames: Luma, dtype: type) -> None:
    luma = frames if dtype is np.uint8 else frames.astype(np.uint16) * 7
    stream = WatchedStream(Clip(luma))
    assert (stream.decoded_digest, stream.frame_hashes) == (None, ())
    passed = np.concatenate([block.luma for block in stream.blocks()])
    np.testing.assert_array_equal(passed, luma)
    plain = luma if luma.dtype == np.uint8 else luma.astype("<u2")
    expected = [hashlib.sha256(frame.tobytes()).digest() for frame in plain]
    assert stream.frame_hashes == tuple(expected)
    lines = "".join(each.hex() + "\n" for each in expected).encode()
    assert stream.decoded_digest == hashlib.sha256(lines).hexdigest()


def test_frames_cut_from_a_wider_picture_are_hashed_row_by_row(frames: Luma) -> None:
    stream = WatchedStream(Clip(np.repeat(frames, 2, axis=2)[:, :, ::2]))
    for _ in stream.blocks():
        pass
    assert stream.frame_hashes == tuple(hashlib.sha256(frame.tobytes()).digest() for frame in frames)


def test_a_watched_stream_is_like_the_stream(frames: Luma) -> None:
    clip = Clip(frames)
    stream = WatchedStream(clip)
    assert (stream.height, stream.width, stream.full_scale, stream.frame_count) == (5, 7, 255, 9)
    assert stream.complaints is clip.complaints
    assert stream.serial_number == "C-17"
    with pytest.raises(AttributeError, match="colour"):
        stream.colour  # noqa: B018


def test_progress_and_repeated_frames_are_counted(frames: Luma) -> None:
    frames[4] = frames[3]
    frames[5] = frames[3]
    frames[7] = frames[0]
    told: list[tuple[int, int, int]] = []
    stream = WatchedStream(Clip(frames, frames), lambda *progress: told.append(progress))
    for _ in range(2):
        for _ in stream.blocks():
            pass
    assert told == [(3, 9, 1), (6, 9, 1), (8, 9, 1), (3, 9, 2), (6, 9, 2), (8, 9, 2)]
    assert (stream.passes, stream.decoded_frames, stream.repeated_frames) == (2, 8, 2)


def test_a_pass_without_frames_has_a_digest_too() -> None:
    stream = WatchedStream(Clip(np.zeros((0, 2, 2), np.uint8)))
    assert list(stream.blocks()) == []
    assert (stream.decoded_frames, stream.repeated_frames) == (0, 0)
    assert stream.decoded_digest == hashlib.sha256(b"").hexdigest()


def test_a_pass_that_is_given_up_counts_for_nothing(frames: Luma) -> None:
    other = frames[::-1].copy()
    stream = WatchedStream(Clip(other, frames, frames))
    next(iter(stream.blocks()))
    assert stream.decoded_digest is None
    for _ in range(2):
        for _ in stream.blocks():
            pass
    assert stream.decoded_frames == 8


def test_a_pass_that_decodes_differently_is_refused(frames: Luma) -> None:
    changed = frames.copy()
    changed[4, 0, 0] ^= 1
    for second, culprit in ((changed, 4), (frames[:-1], 7), (np.concatenate([frames, frames]), 8)):
        stream = WatchedStream(Clip(frames, second))
        for _ in stream.blocks():
            pass
        with pytest.raises(EvidenceChanged, match=rf"pass 2 .* decoded frame {culprit} "):
            for _ in stream.blocks():
                pass


def test_a_reader_cannot_write_into_the_frames(frames: Luma) -> None:
    before = frames.copy()
    for block in WatchedStream(Clip(frames)).blocks():
        with pytest.raises(ValueError, match="read-only"):
            block.luma += 1
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize(("pixels", "dtype"), [("gray", np.uint8), ("gray10le", np.uint16)])
def test_frame_hashes_are_what_ffmpegs_framehash_prints(tmp_path: Path, pixels: str, dtype: type) -> None:
    luma = np.random.default_rng(2).integers(0, 256, (5, 18, 34)).astype(dtype)
    report = tmp_path / "hashes.txt"
    with av.open(str(report), "w", format="framehash", options={"hash": "sha256"}) as container:
        output = container.add_stream("rawvideo", rate=25, width=34, height=18, pix_fmt=pixels)
        for k, picture in enumerate(luma):
            frame = av.VideoFrame.from_ndarray(picture, format=pixels)
            frame.pts = k
            container.mux(output.encode(frame))
        container.mux(output.encode(None))
    stream = WatchedStream(Clip(luma))
    for _ in stream.blocks():
        pass
    by_hand = "grep -v '^#' hashes.txt | awk '{print $NF}' | sha256sum"
    assert stream.decoded_digest == shell(by_hand, tmp_path)
