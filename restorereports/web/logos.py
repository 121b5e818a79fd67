"""A picture for covers: looked at, written anew without anything else in it, and kept once under its hash."""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import Final

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from PIL import Image, UnidentifiedImageError

from restorereports.models import Logo

LARGEST_FILE: Final = 500_000  # bytes
MOST_PIXELS: Final = 16_000_000
LARGEST_SIDE: Final = 1600  # pixels that are kept: 13 cm in print at 300 dots an inch
_KINDS: Final = {"PNG": "image/png", "JPEG": "image/jpeg"}


class LogoRefused(ValueError):
    """The file is no picture that a cover can bear; the message says why."""


def keep_logo(file: UploadedFile) -> Logo:
    """The picture as it is kept; the same picture is kept once."""
    image, kind = _written_anew(file)
    made, _created = Logo.objects.get_or_create(
        sha256=hashlib.sha256(image).hexdigest(), defaults={"image": image, "media_type": _KINDS[kind]}
    )
    found: Logo = made
    return found


def _written_anew(file: UploadedFile) -> tuple[bytes, str]:
    """Its pixels alone: no metadata, no second file behind the picture."""
    if (file.size or 0) > LARGEST_FILE:
        raise LogoRefused(_("The picture is larger than 500 KB."))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about sizes that are bounded here
            picture = Image.open(file, formats=tuple(_KINDS))
            kind = picture.format or ""
            file.seek(0)
            if not _is_whole(file.read(), kind):
                raise LogoRefused(_("The picture cannot be read; it is cut off or damaged."))
            if picture.width * picture.height > MOST_PIXELS:
                raise LogoRefused(_("The picture has more than 16 million pixels."))
            picture.load()
            picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            has_holes = kind == "PNG" and ("A" in picture.getbands() or "transparency" in picture.info)
            plain = picture.convert("RGBA" if has_holes else "RGB")
    except UnidentifiedImageError:
        raise LogoRefused(_("This is no PNG and no JPEG.")) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as failure:
        if isinstance(failure, LogoRefused):
            raise
        raise LogoRefused(_("The picture cannot be read; it is cut off or damaged.")) from None
    clean = Image.frombytes(plain.mode, plain.size, plain.tobytes())
    out = io.BytesIO()
    clean.save(out, format=kind, optimize=True, **({"quality": 90} if kind == "JPEG" else {}))
    return out.getvalue(), kind


def _is_whole(content: bytes, kind: str) -> bool:
    """Whether the picture's end is there: WeasyPrint lets Pillow fill up what is missing, in the whole process."""
    if kind == "PNG":
        return b"IEND" in content
    return b"\xff\xd9" in content[content.rfind(b"\xff\xda") :]
