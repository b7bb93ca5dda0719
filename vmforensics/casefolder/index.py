"""An index over many cases, to search them: made from the folders, and never the truth about them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vmforensics.case import CASE_FILE
from vmforensics.casefolder.folder import EXHIBITS, NOTES, RUNS, CaseFolder, find_cases
from vmforensics.casefolder.json_files import read_json
from vmforensics.custody import LEDGER_NAME, Entry
from vmforensics.errors import CustodyError, OutputError

_VERSION = 1
_LONGEST_TEXT = 100_000  # characters of one thing
_MOST_HITS = 1000
_TABLES = """
CREATE TABLE cases (path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);
CREATE VIRTUAL TABLE texts USING fts5(path UNINDEXED, what, words, tokenize = "unicode61 remove_diacritics 2");
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found in a case.

    Parameters
    ----------
    case : Path
        The case folder.
    what : str
        What was found: "case", an exhibit, a note, a run.
    excerpt : str
        Some words around it.
    """

    case: Path
    what: str
    excerpt: str


class CaseIndex:
    """A search index over the cases in a folder, kept in the user's cache; use it as a context manager.

    What changed since the last time is read anew, by size and time of change of the files; a damaged index, or one of
    another version, is made anew.

    Parameters
    ----------
    root
        The folder that holds the cases.
    file
        Where the index lies; in the user's cache if None.

    Raises
    ------
    OutputError
        It can't be written.
    """

    def __init__(self, root: Path, file: Path | None = None) -> None:
        self._shown, self._root = root, root.absolute()
        mark = hashlib.sha256(os.fsencode(os.path.realpath(self._root))).hexdigest()[:32]
        self._file = file or _cache() / f"{mark}.sqlite3"
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            self._base = self._opened()
        except (OSError, sqlite3.Error) as error:
            raise OutputError(
                f"{self._file}: the index can't be written: {error}", hint="see XDG_CACHE_HOME"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def refresh(self, *, rebuild: bool = False) -> int:
        """Read what changed in the folders.

        Parameters
        ----------
        rebuild
            Whether to read everything anew.

        Returns
        -------
        int
            How many cases were read.

        Raises
        ------
        CustodyError
            The folder can't be listed.
        OutputError
            The index can't be written.
        """
        cases = {self._name(case.path): case for case in find_cases(self._root)}
        try:
            with self._base:
                known = {} if rebuild else dict(self._base.execute("SELECT path, fingerprint FROM cases"))
                now = {name: _fingerprint(case.path) for name, case in cases.items()}
                stale = sorted(name for name in now if now[name] != known.get(name))
                for name in {*stale, *(known.keys() - now.keys())}:
                    self._base.execute("DELETE FROM cases WHERE path = ?", (name,))
                    self._base.execute("DELETE FROM texts WHERE path = ?", (name,))
                if rebuild:
                    self._base.execute("DELETE FROM cases")
                    self._base.execute("DELETE FROM texts")
                for name in stale:
                    self._base.execute("INSERT INTO cases VALUES (?, ?)", (name, now[name]))
                    rows = ((name, what, text[:_LONGEST_TEXT]) for what, text in _words(cases[name]))
                    self._base.executemany("INSERT INTO texts VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise OutputError(f"{self._file}: the index can't be written: {error}") from error
        return len(stale)

    def search(self, query: str) -> list[Hit]:
        """Find all words of a query, or words that begin so, in one thing of a case: best first.

        Parameters
        ----------
        query
            Words; also the beginning of a digest.
        """
        words = " ".join('"' + word.replace('"', '""') + '"*' for word in query.replace("\0", " ").split())
        if not words:
            return []
        ask = (
            "SELECT path, what, snippet(texts, 2, '', '', ' ... ', 16) FROM texts "
            "WHERE texts MATCH ? ORDER BY rank LIMIT ?"
        )
        try:
            found = self._base.execute(ask, (f"{{what words}}: {words}", _MOST_HITS)).fetchall()
        except sqlite3.Error as error:
            raise CustodyError(f"{query!r} can't be searched for: {error}") from error
        return [Hit(self._shown / name, what, " ".join(excerpt.split())) for name, what, excerpt in found]

    def _opened(self) -> sqlite3.Connection:
        for fresh in (False, True):
            if fresh:
                self._file.unlink()
            base = sqlite3.connect(self._file, timeout=30)
            with contextlib.suppress(sqlite3.DatabaseError):
                (version,) = base.execute("PRAGMA user_version").fetchone()
                (sound,) = base.execute("PRAGMA quick_check(1)").fetchone()
                if version == _VERSION and sound == "ok":
                    return base
            if fresh or self._file.stat().st_size == 0:
                with base:
                    base.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
                return base
            base.close()
        raise AssertionError("an index that was made anew is one")

    def _name(self, path: Path) -> str:
        """A case's path from the root, as text that SQLite holds."""
        return os.fsencode(path.absolute().relative_to(self._root)).decode("utf-8", "backslashreplace")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmforensics"


def _fingerprint(case: Path) -> str:
    """What changes whenever a file changes that the index speaks of."""
    seen = hashlib.sha256()
    places = [case / CASE_FILE, case / LEDGER_NAME, case / EXHIBITS, case / NOTES, case / RUNS]
    for place in places:
        for path in [place, *(sorted(place.rglob("*")) if place.is_dir() and not place.is_symlink() else [])]:
            with contextlib.suppress(OSError):
                status = path.lstat()
                seen.update(os.fsencode(path) + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def _words(case: CaseFolder) -> Iterator[tuple[str, str]]:
    """All that can be searched for: (what it is, its words)."""
    identity = case.identity()
    name = case.path.name.encode("utf-8", "backslashreplace").decode()
    yield "case", " ".join([name, *(_texts(identity.model_dump(mode="json")) if identity else ())])
    with contextlib.suppress(CustodyError):
        for exhibit in case.exhibits():
            yield f"exhibit {exhibit.id}", " ".join(_texts(exhibit.model_dump(mode="json", exclude={"format"})))
    with contextlib.suppress(CustodyError):
        for note in case.notes():
            yield f"note {note.number}", " ".join((note.text, note.author, note.about))
    with contextlib.suppress(CustodyError):
        for entry in case.entries():
            yield f"act {entry.seq}", _act(entry)
    with contextlib.suppress(CustodyError):
        for run in case.runs():
            told = [run.name, run.what, run.status.value, run.verdict, run.set_aside, run.head]
            with contextlib.suppress(CustodyError):
                told += _texts(_result(read_json(case.path / run.name / "result.json")))
            yield run.name, " ".join(told)


def _act(entry: Entry) -> str:
    """What an act says of people and reasons; the rest is in what it was done with."""
    keys = ("actor", "purpose", "exhibit", "handed_over_by", "handed_to", "run", "reason", "form")
    return " ".join([entry.event, entry.time, *(str(entry.fields[key]) for key in keys if key in entry.fields)])


def _result(content: Any) -> Any:
    """The parts of a result.json that somebody would search for."""
    keys = ("run", "verdict_reason", "evidence", "warnings")
    found = {key: content.get(key) for key in keys} if isinstance(content, dict) else {}
    methods = content.get("method") if isinstance(content, dict) else None
    names = [each.get("name") for each in methods if isinstance(each, dict)] if isinstance(methods, list) else []
    return found, names


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
