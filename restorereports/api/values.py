"""The kinds of values that go in and out: times with an offset in, UTC with Z out; bounded text and ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from django.http import QueryDict
from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .errors import Unreadable

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
MOST_VALUES: Final = 100  # of one parameter that may be repeated


def wrong(sentence: str) -> PydanticCustomError:
    """What a type says of a value it does not take; braces of the value must not be read as places."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def _read_time(text: Any) -> datetime:
    """UTC, with microseconds: what is finer is cut off."""
    sentence = _("Write a time with its offset, like 2026-10-14T20:10:02Z or 2026-10-14T22:10:02%2B02:00.")
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise wrong(sentence)
    plain = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    try:
        at = datetime.fromisoformat(plain).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong(sentence) from None
    if not EARLIEST <= at <= LATEST:
        raise wrong(_("Write a time between 1970 and 2999."))
    return at


def _read_text(text: Any) -> Any:
    if isinstance(text, str) and "\0" in text:
        raise wrong(_("The character NUL cannot be part of it."))
    return text


def written_time(at: datetime) -> str:
    """ISO 8601, UTC: `2026-10-14T20:10:02.017000Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_TIME_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "format": "date-time",
    "examples": ["2026-10-14T20:10:02.017000Z"],
}
TimeGiven = Annotated[
    datetime | None,
    BeforeValidator(lambda given: None if given is None else _read_time(given)),
    WithJsonSchema(_TIME_SCHEMA),
]
Time = Annotated[datetime, PlainSerializer(written_time, return_type=str), WithJsonSchema(_TIME_SCHEMA)]
Text = Annotated[str, BeforeValidator(_read_text), Field(max_length=1000)]
Word = Annotated[str, BeforeValidator(_read_text), Field(max_length=255)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Ids = Annotated[list[Id], Field(max_length=MOST_VALUES)]


class Parameters(Schema):
    """What an address may say after the question mark.

    A misspelt filter would be left out and everything answered, which looks like an answer; so it is refused, as is a
    value given twice where one counts.
    """

    @model_validator(mode="before")
    @classmethod
    def _knows_all_that_is_given(cls, data: Any, info: ValidationInfo) -> Any:
        given: QueryDict = info.context["request"].GET if info.context else QueryDict()
        for name in given:
            if name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise Unreadable(name[:100], _("There is no such parameter. There are: %s.") % known)
            repeatable = isinstance(cls.model_fields[name].default, list)
            if len(given.getlist(name)) > 1 and not repeatable:
                raise Unreadable(name, _("Give it once."))
        return data


class Named(Schema):
    """A thing by id and name."""

    id: int
    name: str
