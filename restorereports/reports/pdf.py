"""HTML becomes PDF; the only file that knows WeasyPrint.

The document may fetch nothing but `data:` addresses: what stands in a name cannot make it open a file or the
network. The style sheets and fonts are loaded by a fetcher of their own, from this installation's files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher

from .fonts import folder as font_folder

STYLE_SHEETS = ("tokens.css", "report.css")


@dataclass(frozen=True, slots=True)
class Made:
    """A finished PDF."""

    pdf: bytes
    pages: int


def make(html: str, *, identifier: str) -> Made:
    """A tagged PDF with bookmarks; the same HTML and identifier give the same bytes."""
    if not any(font_folder().glob("*.woff2")):
        raise ImproperlyConfigured("The fonts are missing; make them: manage.py build_assets")
    fonts = FontConfiguration()
    own_files = URLFetcher(allowed_protocols=["file", "data"], fail_on_errors=True)
    style_folder = Path(settings.BASE_DIR) / "static" / "css"
    sheets = [
        CSS(filename=style_folder / name, font_config=fonts, url_fetcher=own_files) for name in STYLE_SHEETS
    ]
    source = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=["data"]))
    document = source.render(font_config=fonts, stylesheets=sheets, pdf_tags=True)
    pdf = document.write_pdf(pdf_identifier=identifier.encode(), pdf_tags=True)
    return Made(pdf=pdf, pages=len(document.pages))
