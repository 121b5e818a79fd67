"""Which characters the PDF can draw: those of the Plex fonts and of the fonts that fontconfig knows."""

from __future__ import annotations

import logging
import subprocess
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from fontTools.ttLib import TTFont

logger = logging.getLogger(__name__)


def folder() -> Path:
    """Where `manage.py build_assets` puts the fonts."""
    return Path(settings.BASE_DIR) / "static" / "build" / "fonts"


@lru_cache(maxsize=1)
def drawable() -> frozenset[int]:
    """Code points that some font has; any other would become an empty box (`.notdef`)."""
    found: set[int] = set()
    for path in sorted(folder().glob("*.woff2")):
        with TTFont(path, lazy=True) as font:
            found.update(font.getBestCmap())
    return frozenset(found | _of_system())


def _of_system() -> set[int]:
    """From fontconfig, which the PDF's layout asks too; without it only the Plex fonts count."""
    command = ["fc-list", ":scalable=true", "--format", "%{charset}\n"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as failure:
        logger.warning("fontconfig cannot be asked (%s): only the Plex fonts' characters are drawn", failure)
        return set()
    return _code_points(done.stdout)


def _code_points(charsets: str) -> set[int]:
    """fontconfig writes charsets as hexadecimal ranges: `20-7e a0 100-17f`."""
    found: set[int] = set()
    for part in set(charsets.split()):
        first, _, last = part.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found
