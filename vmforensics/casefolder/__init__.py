"""The folder of a case: exhibits, notes, runs and exports, a ledger of what was done with them; and an index of many.

(`vmforensics.case` is the case file in it: what is to be done.)
"""

from vmforensics.casefolder.acts import (
    Act,
    add_exhibit,
    add_note,
    recording_runs,
    reinstate,
    set_aside,
    transfer,
)
from vmforensics.casefolder.folder import CaseFolder, RunEntry, find_cases
from vmforensics.casefolder.index import CaseIndex, Hit
from vmforensics.casefolder.records import (
    EXHIBIT_FORMAT,
    NOTE_FORMAT,
    ExhibitRecord,
    NoteRecord,
    Received,
    record_schema,
)

__all__ = [
    "EXHIBIT_FORMAT",
    "NOTE_FORMAT",
    "Act",
    "CaseFolder",
    "CaseIndex",
    "ExhibitRecord",
    "Hit",
    "NoteRecord",
    "Received",
    "RunEntry",
    "add_exhibit",
    "add_note",
    "find_cases",
    "record_schema",
    "recording_runs",
    "reinstate",
    "set_aside",
    "transfer",
]
