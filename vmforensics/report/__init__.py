"""The report: what an analyst signs, a court reads and an opponent checks, as one page, a PDF and numbers."""

from vmforensics.report.content import Subject
from vmforensics.report.page import Report, compose, render_report

__all__ = ["Report", "Subject", "compose", "render_report"]
