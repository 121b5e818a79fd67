"""HTML becomes PDF/A-3a; the only file that knows WeasyPrint.

The document may fetch nothing but `data:` addresses: what stands in a name cannot make it open a file or the
network. The style sheets and fonts are loaded by a fetcher of their own, from this installation's files.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher

from .fonts import folder as font_folder
from .pdf_attachments import Attached, attach

VARIANT: Final = "pdf/a-3a"
STYLE_SHEETS: Final = ("tokens.css", "report.css")
LETTER: Final = "report-letter.css"


@dataclass(frozen=True, slots=True)
class Made:
    """A finished PDF."""

    pdf: bytes
    pages: int


def make(html: str, *, identifier: str) -> Made:
    """A document without attachments, in memory, on A4; see `write`."""
    written = io.BytesIO()
    pages = write(html, written, identifier=identifier)
    return Made(pdf=written.getvalue(), pages=pages)


def write(
    html: str,
    into: IO[bytes],
    *,
    identifier: str,
    paper: str = "a4",
    attached: Sequence[Attached] = (),
    at: datetime | None = None,
) -> int:
    """A tagged PDF/A-3a with bookmarks and these files in it, dated `at`; returns how many pages it has.

    The same HTML, files, identifier and moment give the same bytes. `paper`: "a4" or "letter".
    """
    if not any(font_folder().glob("*.woff2")):
        raise ImproperlyConfigured("The fonts are missing; make them: manage.py build_assets")
    if attached and at is None:
        raise ValueError("attached files bear a date")
    fonts = FontConfiguration()
    own_files = URLFetcher(allowed_protocols=["file", "data"], fail_on_errors=True)
    style_folder = Path(settings.BASE_DIR) / "static" / "css"
    names = (*STYLE_SHEETS, LETTER) if paper == "letter" else STYLE_SHEETS
    sheets = [CSS(filename=style_folder / name, font_config=fonts, url_fetcher=own_files) for name in names]
    source = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=["data"]))
    document = source.render(font_config=fonts, stylesheets=sheets, pdf_variant=VARIANT, pdf_tags=True)
    document.write_pdf(
        into,
        finisher=lambda _document, pdf: attach(pdf, attached, at=at) if at else None,
        pdf_variant=VARIANT,
        pdf_identifier=identifier.encode(),
        pdf_tags=True,
    )
    return len(document.pages)
