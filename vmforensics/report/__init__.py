"""The report: one self-contained page that says what was done, what was found, and what it doesn't say."""

from vmforensics.report.page import render_report

__all__ = ["render_report"]
