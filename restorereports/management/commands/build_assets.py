"""`manage.py build_assets`: static woff2 of the packaged fonts, for pages and PDF alike; compiled catalogues."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

from restorereports.management.catalogue import compile_catalogues

# name of the static font -> the package and file it comes from, and the weight where that file is variable
FONTS = {
    "IBMPlexSans-Regular": ("fontpkg_ibm_plex_sans", "IBMPlexSans[wdth,wght].ttf", 400),
    "IBMPlexSans-SemiBold": ("fontpkg_ibm_plex_sans", "IBMPlexSans[wdth,wght].ttf", 600),
    "IBMPlexSansCondensed-Regular": (
        "fontpkg_ibm_plex_sans_condensed",
        "IBMPlexSansCondensed-Regular.ttf",
        None,
    ),
    "IBMPlexSansCondensed-Medium": (
        "fontpkg_ibm_plex_sans_condensed",
        "IBMPlexSansCondensed-Medium.ttf",
        None,
    ),
    "IBMPlexMono-Regular": ("fontpkg_ibm_plex_mono", "IBMPlexMono-Regular.ttf", None),
    "IBMPlexSerif-Regular": ("fontpkg_ibm_plex_serif", "IBMPlexSerif-Regular.ttf", None),
}


def make_font(package: str, file: str, weight: int | None, target: Path) -> None:
    """Write one weight of the packaged font as woff2."""
    with as_file(files(package) / "files" / file) as path:
        font = TTFont(path)
        if weight is not None:
            font = instancer.instantiateVariableFont(font, {"wght": weight, "wdth": 100})
        font.flavor = "woff2"
        draft = target.with_suffix(".part")
        font.save(draft)
        draft.replace(target)


class Command(BaseCommand):
    help = "Makes the fonts under static/build/fonts out of the installed font packages, and compiles the translations."
    requires_system_checks = []  # needed before anything else can be checked

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.BASE_DIR) / "static" / "build" / "fonts"
        folder.mkdir(parents=True, exist_ok=True)
        for name, (package, file, weight) in FONTS.items():
            target = folder / f"{name}.woff2"
            if not target.exists():
                make_font(package, file, weight, target)
                self.stdout.write(f"made {target.name}")
        for made in compile_catalogues():
            self.stdout.write(f"made {made.parent.parent.name}/{made.name}")
