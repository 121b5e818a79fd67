"""The address of an Enterprise Manager as a person types it."""

from django.core.exceptions import ValidationError

from restorereports.em.connection import normalise_url as normalise
from restorereports.em.failures import InvalidUrl


def normalise_url(text: str, *, allow_plain_http: bool = False) -> str:
    """`scheme://host:port`, port 9398 when none is given; ValidationError says what to type instead."""
    try:
        return normalise(text, allow_plain_http=allow_plain_http)
    except InvalidUrl as failure:
        raise ValidationError(str(failure)) from None
