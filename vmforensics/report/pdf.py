"""The page as a PDF for the archive: PDF/A-3b, with bookmarks, page numbers, selectable text, and report.json in it.

WeasyPrint makes it, an extra; it needs Pango and HarfBuzz from the system.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from datetime import UTC, datetime

from vmforensics.errors import ExtraMissing

_SOUND = re.compile(rb' src="data:audio/[^"]*"')
_NO_TIME = datetime(1980, 1, 1, tzinfo=UTC)
"""Date of the file within: fixed, so that the same report gives the same bytes; the earliest that archives know."""


def check_pdf() -> None:
    """Raise `ExtraMissing` unless a PDF can be made here."""
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: a library of the system is missing
        raise ExtraMissing(
            f"no PDF can be made here: {error.__class__.__name__}: {str(error).splitlines()[0]}",
            hint="pip install 'vmforensics[pdf]'; and from the system Pango and HarfBuzz, on Debian: "
            "apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0; or print report.html from a browser",
        ) from error


def to_pdf(html: bytes, numbers: bytes) -> bytes:
    """Make a PDF of a report's page.

    Parameters
    ----------
    html
        The page. Its sounds are left out, and nothing is fetched from elsewhere.
    numbers
        The content of report.json, which goes into the PDF as an attached file.

    Returns
    -------
    bytes
        The same for the same page.

    Raises
    ------
    ExtraMissing
        WeasyPrint isn't installed, or can't work here.
    """
    check_pdf()
    from weasyprint import HTML, Attachment
    from weasyprint.urls import URLFetcher

    silent = _SOUND.sub(b"", html)
    data = Attachment(
        string=numbers,
        name="report.json",
        description="Every number of this report",
        created=_NO_TIME,
        modified=_NO_TIME,
        relationship="Data",
    )
    document = HTML(string=silent.decode("utf-8"), url_fetcher=URLFetcher(allowed_protocols=("data",)))
    identifier = hashlib.sha256(silent).digest()[:16]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # WeasyPrint leaves its colour profile's file open
        made = document.write_pdf(pdf_variant="pdf/a-3b", pdf_identifier=identifier, pdf_tags=True, attachments=[data])
    return bytes(made)
