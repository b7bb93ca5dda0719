#!/usr/bin/env python3
"""Checks a disclosure of vmforensics, with nothing but Python's standard library.

    python3 -I verify.py                      checks the record beside this file
    python3 -I verify.py --evidence CLIP      ... and whether CLIP is the recording that was examined
    python3 -I verify.py --expect SHA256      ... and whether a digest that was noted elsewhere occurs in it

It reads only: the folder that it lies in, and the recording. It ends with 0 if all is as recorded, 1 if anything
isn't, and 2 if it was called wrongly. It needs Python 3.8 or newer, and nothing of vmforensics.

What it checks, and how to do the same by hand:

1. bundle-sha256.txt lists every file of the disclosure:          sha256sum -c bundle-sha256.txt
2. each run's manifest-sha256.txt lists the files of the run:     cd record; sha256sum -c manifest-sha256.txt
3. each ledger.jsonl is a chain, for every line holds, as "prev", the SHA-256 of the line before:
                                                                  sed -n 3p ledger.jsonl | sha256sum
4. the files are those whose SHA-256 the ledgers recorded when they were written
5. the recording's SHA-256 is the one that the ledgers recorded:  sha256sum CLIP

What it can't tell: whoever can rewrite everything can also make a new chain that holds. A digest that was kept
elsewhere (--expect), or a seal (record/.../seals/, a signature that `openssl` checks), rules that out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from typing import Any, BinaryIO

LEDGER, MANIFEST, BUNDLE = "ledger.jsonl", "manifest-sha256.txt", "bundle-sha256.txt"
LONGEST_LINE = 64 * 2**20
LINE = re.compile(rb"(\\?)([0-9a-f]{64})  ([^\n]+)\n")
ENDINGS = {
    "run-finished": "finished",
    "run-failed": "failed (the ledger says why)",
    "run-interrupted": "was interrupted",
}


class Check:
    """One pass over the disclosure; gathers what is wrong."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.problems: list[tuple[str, str]] = []
        self.seen: set[str] = set()  # every digest that something here has
        self.materials: dict[str, dict[str, Any]] = {}
        self.lines = 0
        self.files = 0

    def wrong(self, where: str, what: str) -> None:
        """Note a deviation."""
        self.problems.append((shown(where), shown(what)))

    def name(self, path: str) -> str:
        """A path as it is told."""
        return os.path.relpath(path, self.root)

    def digest(self, path: str) -> str | None:
        """SHA-256 of a file of the disclosure; None where it can't be read, which is noted."""
        if os.path.islink(path) or not os.path.isfile(path):
            self.wrong(self.name(path), "is no regular file; a disclosure holds nothing else")
            return None
        try:
            with open(path, "rb") as file:
                digest = sha256_of(file)
        except OSError as error:
            self.wrong(self.name(path), f"can't be read: {error.strerror}")
            return None
        self.files += 1
        self.seen.add(digest)
        return digest

    def listing(self, path: str) -> dict[str, str]:
        """What a list of SHA-256 digests says, by path."""
        listed: dict[str, str] = {}
        try:
            with open(path, "rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(2**16), b""), 1):
                    where = f"{self.name(path)}:{number}"
                    found = LINE.fullmatch(line)
                    if found is None:
                        self.wrong(where, "isn't a line that sha256sum writes")
                        continue
                    name = os.fsdecode(found.group(3))
                    if found.group(1):
                        name = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m.group(1), m.group(1)), name)
                    if leads_out(name):
                        self.wrong(where, "names a file outside of its folder")
                        continue
                    if name in listed:
                        self.wrong(where, "lists a file for the second time")
                    listed[name] = found.group(2).decode()
        except OSError as error:
            self.wrong(self.name(path), f"can't be read: {error.strerror}")
        return listed

    def compare(self, folder: str, listed: dict[str, str], who: str) -> None:
        """Hold the files of a folder against what somebody recorded of them."""
        for name in sorted(listed):
            path = os.path.join(folder, name)
            if not os.path.lexists(path):
                self.wrong(self.name(path), f"isn't there, but {who} lists it")
                continue
            digest = self.digest(path)
            if digest is not None and digest != listed[name]:
                self.wrong(self.name(path), f"has other content than {who} recorded")

    def bundle(self) -> None:
        """Every file, against the list that was made with the disclosure."""
        if not os.path.isfile(os.path.join(self.root, BUNDLE)):
            self.wrong(BUNDLE, "isn't there; without it nothing tells which files belong to the disclosure")
            return
        listed = self.listing(os.path.join(self.root, BUNDLE))
        self.compare(self.root, listed, BUNDLE)
        for here, folders, names in os.walk(self.root):
            folders.sort()
            links = [each for each in folders if os.path.islink(os.path.join(here, each))]
            for name in sorted(names + links):
                place = self.name(os.path.join(here, name))
                if place not in listed and place != BUNDLE:
                    self.wrong(place, f"was added: {BUNDLE} doesn't list it")

    def record(self, folder: str) -> tuple[list[dict[str, Any]], str]:
        """Check a folder with a ledger, a run or the case itself; gives the ledger's entries and its head."""
        entries, head = self.ledger(os.path.join(folder, LEDGER))
        products: dict[str, str] = {}
        for entry in entries:
            self.gather(entry, products, f"{self.name(folder)}: line {entry.get('seq')}")
        self.compare(folder, products, "the ledger")
        name = shown(self.name(folder))
        if not (entries and entries[0].get("event") == "run-started"):
            print(f"{name}: {len(entries)} acts on the case, ledger head {head}")
            return entries, head
        manifest = os.path.join(folder, MANIFEST)
        if os.path.isfile(manifest):
            self.compare(folder, self.listing(manifest), MANIFEST)
        ended = ENDINGS.get(str(entries[-1].get("event")))
        if ended is None:
            self.wrong(name, "its ledger doesn't say how the run ended: it was cut off, or its end was taken off")
        print(f"{name}: the run {ended or '?'}; {len(entries)} lines, ledger head {head}")
        return entries, head

    def ledger(self, path: str) -> tuple[list[dict[str, Any]], str]:
        """A ledger's entries and its head; a line that doesn't follow the one before is noted."""
        entries: list[dict[str, Any]] = []
        head, number = "0" * 64, 0
        try:
            with open(path, "rb") as file:
                for line in iter(lambda: file.readline(LONGEST_LINE), b""):
                    number += 1
                    where = f"{self.name(path)}:{number}"
                    if not line.endswith(b"\n"):
                        self.wrong(where, "the line is cut short, as by a crash or by taking off the end")
                        break
                    entry = entry_of(line)
                    if entry is None:
                        self.wrong(where, "isn't an entry of a ledger")
                    else:
                        if entry.get("prev") != head:
                            self.wrong(where, BROKEN)
                        if entry.get("seq") != number:
                            self.wrong(where, f"has the number {entry.get('seq')!r} instead of {number}")
                        entries.append(entry)
                    head = hashlib.sha256(line).hexdigest()
                    self.seen.add(head)
                    self.lines += 1
        except OSError as error:
            self.wrong(self.name(path), f"can't be read: {error.strerror}")
        return entries, head

    def gather(self, entry: dict[str, Any], products: dict[str, str], where: str) -> None:
        """Take what an entry says of files that were written, and of exhibits."""
        told = entry.get("products", {})
        for name, digest in told.items() if isinstance(told, dict) else ():
            if isinstance(digest, str) and not leads_out(name):
                products[name] = digest
            else:
                self.wrong(where, "names a file outside of its folder, or no digest")
        materials = entry.get("materials", [])
        for each in materials if isinstance(materials, list) else ():
            if isinstance(each, dict) and isinstance(each.get("sha256"), str):
                self.materials[each["sha256"]] = each

    def heads(self, folder: str, entries: list[dict[str, Any]], heads: dict[str, str]) -> None:
        """Hold the runs of a case against what the case's own ledger recorded of them."""
        recorded: dict[str, str] = {}
        for entry in entries:
            run, head = entry.get("run"), entry.get("run_head_sha256")
            if isinstance(run, str) and isinstance(head, str):
                recorded[run] = head
        for run, head in sorted(recorded.items()):
            place = os.path.normpath(os.path.join(folder, run))
            if heads.get(place) != head:
                self.wrong(self.name(place), "isn't the run that the case's ledger recorded")

    def evidence(self, path: str) -> None:
        """Whether a recording is one that the ledgers name."""
        if os.path.isdir(path):
            self.wrong(path, "is a folder; give its files to sha256sum, and compare with the entry evidence-digested")
            return
        try:
            with open(path, "rb") as file:
                digest = sha256_of(file)
        except OSError as error:
            self.wrong(path, f"can't be read: {error.strerror}")
            return
        if digest in self.materials:
            mark = shown(str(self.materials[digest].get("id")))
            print(f"{shown(path)} is the recording that was examined (exhibit {mark})")
        else:
            self.wrong(path, f"isn't a recording that was examined here; its SHA-256 is {digest}")


BROKEN = "doesn't hold the SHA-256 of the line before: a line was changed, put in, taken out or moved"


def sha256_of(file: BinaryIO) -> str:
    """SHA-256 of an open file."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: file.read(2**20), b""):
        digest.update(chunk)
    return digest.hexdigest()


def entry_of(line: bytes) -> dict[str, Any] | None:
    """What a ledger's line says; None where it is no entry."""
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def leads_out(name: str) -> bool:
    """Whether a path isn't one below the folder that it counts from."""
    return name.startswith("/") or "\0" in name or not {"..", ""}.isdisjoint(name.split("/"))


def shown(text: str) -> str:
    """Text that may hold anything, safe to print."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def main() -> int:
    """Check, tell, and give the exit code."""
    parser = argparse.ArgumentParser(description="Checks a disclosure of vmforensics, without vmforensics.")
    parser.add_argument("--evidence", metavar="CLIP", action="append", default=[], help="a recording to compare")
    parser.add_argument("--expect", metavar="SHA256", action="append", default=[], help="a digest noted elsewhere")
    asked = parser.parse_args()
    check = Check(os.path.dirname(os.path.abspath(__file__)))
    check.bundle()
    cases: list[tuple[str, list[dict[str, Any]]]] = []
    heads: dict[str, str] = {}
    for folder, folders, names in os.walk(check.root):
        folders.sort()
        if LEDGER in names:
            entries, heads[folder] = check.record(folder)
            cases.append((folder, entries))
    for folder, entries in cases:
        check.heads(folder, entries, heads)
    for path in asked.evidence:
        check.evidence(path)
    for digest in asked.expect:
        if digest.lower() not in check.seen:
            check.wrong(digest, "nothing here has this SHA-256: this is another state, or another case")
    if not check.lines:
        check.wrong(".", "there is no ledger: nothing tells what was done")
    for where, what in check.problems:
        print(f"WRONG: {where}: {what}")
    print(f"{check.files} times a file was compared, {check.lines} ledger lines were followed")
    if not asked.evidence:
        examined = [f"{shown(os.path.basename(str(m.get('path'))))} ({s})" for s, m in sorted(check.materials.items())]
        print(f"the recording wasn't compared; what was examined: {', '.join(examined) or 'nothing'}")
    if check.problems:
        print(f"{len(check.problems)} DEVIATIONS: what is marked WRONG isn't as it was recorded")
    else:
        print("EVERYTHING IS AS IT WAS RECORDED")
    print("This doesn't rule out that everything was rewritten: compare a ledger head above with one kept elsewhere.")
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
