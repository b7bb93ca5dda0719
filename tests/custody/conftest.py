"""A small case with two runs, notes and two seals, for tests that attack it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from vmforensics.custody.digest import digest_evidence
from vmforensics.custody.keys import PrivateKey, new_key, read_private_key
from vmforensics.custody.ledger import LEDGER_NAME, Ledger, material
from vmforensics.custody.run_folder import RunFolder
from vmforensics.custody.seal import Seal, seal
from vmforensics.custody.seal_check import Trust
from vmforensics.custody.verification import Verification
from vmforensics.custody.verify import verify
from vmforensics.data import Evidence

ACT = {"actor": "J. Doe", "purpose": "examination"}


@dataclass(frozen=True)
class SealedCase:
    """A case folder, and what somebody who checks it knows from elsewhere: the key, and the last seal."""

    root: Path
    key: PrivateKey
    noted: str

    def check(self, *, evidence: bool = False, noted: bool = True, trust: bool = True) -> Verification:
        """Verify it as somebody does who was given the public key and the last seal's SHA-256."""
        relied = Trust((self.key.public,)) if trust else None
        return verify(self.root, evidence=evidence, trust=relied, expected=[self.noted] if noted else [])

    def files(self) -> list[Path]:
        """Every file but the evidence."""
        return sorted(p for p in self.root.rglob("*") if p.is_file() and "evidence" not in p.parts)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def seen_by(self, key: PrivateKey, noted: str) -> SealedCase:
        """The same case, checked by somebody who knows another key and another seal."""
        return SealedCase(self.root, key, noted)

    def at(self, root: Path) -> SealedCase:
        """The same case, copied to another place."""
        return SealedCase(Path(shutil.copytree(self.root, root, symlinks=True)), self.key, self.noted)


def a_key(path: Path) -> PrivateKey:
    new_key(path)
    return read_private_key(path, lambda: b"")


def add_run(root: Path, name: str, sound: bytes) -> None:
    """A run with two artefacts."""
    clip = Evidence(root / "evidence" / "clip.avi", "E1")
    folder = RunFolder.create(root / "runs" / name, evidence=[clip.path])
    with folder.record(run=name) as ledger:
        ledger.digested(clip, digest_evidence(clip))
        with ledger.step("export"), folder.staging() as staging:
            (staging / "raw.wav").write_bytes(sound)
            (staging / "result.json").write_bytes(b'{"verdict":"signal"}\n')
            ledger.published(folder.publish([staging / "raw.wav", staging / "result.json"]))


def add_note(root: Path, number: int) -> None:
    """A note, recorded in the case's ledger."""
    (root / "notes").mkdir(exist_ok=True)
    with Ledger.open(root / LEDGER_NAME) as ledger:
        products = RunFolder(root / "notes").write(f"{number:04d}.json", b'{"text":"heard"}\n')
        ledger.act("note-added", **ACT, products={f"notes/{name}": sha256 for name, sha256 in products.items()})


def open_case(root: Path) -> None:
    """A case with one exhibit, one run and a note."""
    (root / "evidence").mkdir(parents=True)
    clip = root / "evidence" / "clip.avi"
    clip.write_bytes(bytes(range(50)))
    (root / "case.yaml").write_bytes(b"version: 1\n")
    with Ledger.create(root / LEDGER_NAME) as ledger:
        ledger.act("case-opened", **ACT)
        exhibit = Evidence(clip, "E1")
        ledger.act("exhibit-added", **ACT, materials=[material(exhibit, digest_evidence(exhibit), root)])
    add_run(root, "001", bytes(range(40)))
    add_note(root, 1)


def seal_it(root: Path, key: PrivateKey) -> Seal:
    return seal(root, key, actor="J. Doe", purpose="end of examination")


def make(root: Path) -> SealedCase:
    """The case, sealed, amended by a run and a note, and sealed again."""
    case = root / "case"
    open_case(case)
    key = a_key(root / "examiner.key")
    seal_it(case, key)
    add_run(case, "002", bytes(range(40, 90)))
    add_note(case, 2)
    return SealedCase(case, key, seal_it(case, key).sha256)


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """What makes cases: `open_case`, `add_run`, `add_note`, `a_key`, `seal_it`, and all of it, `make`."""
    return SimpleNamespace(
        open_case=open_case, add_run=add_run, add_note=add_note, a_key=a_key, seal_it=seal_it, make=make, act=ACT
    )


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> SealedCase:
    """A sealed case that nobody may change."""
    return make(tmp_path_factory.mktemp("genuine"))


@pytest.fixture
def case(genuine: SealedCase, tmp_path: Path) -> SealedCase:
    """A copy of it, to attack."""
    return genuine.at(tmp_path / "case")
