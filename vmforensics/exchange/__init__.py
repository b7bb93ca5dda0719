"""What goes to others: the record of a run or a case in forms that other programs, archives and courts read."""

from vmforensics.exchange.export import FORMS, Export, export
from vmforensics.exchange.framehash import frame_hashes
from vmforensics.exchange.subject import Subject, ToldRun, read_subject

__all__ = ["FORMS", "Export", "Subject", "ToldRun", "export", "frame_hashes", "read_subject"]
