"""The dossier: what a case or a run left is gathered, checked, and made into a report with a record of its own."""

from vmforensics.dossier.gather import gather
from vmforensics.dossier.make import MadeReport, make_report

__all__ = ["MadeReport", "gather", "make_report"]
