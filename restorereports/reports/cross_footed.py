"""Two figures that must be equal, or the report is not issued (evidence rule 15)."""

from __future__ import annotations

from django.utils.translation import gettext as _

from restorereports.models.counts import OutcomeCounts


class CrossFootError(Exception):
    """Two figures that must be equal are not; the message names both."""


def same_parts(name: str, whole: OutcomeCounts, other: str, parts: OutcomeCounts) -> None:
    """Outcome by outcome."""
    for part in OutcomeCounts.__slots__:
        label = "%s (%s)"
        same(label % (name, part), getattr(whole, part), label % (other, part), getattr(parts, part))


def same(name: str, value: int, other: str, other_value: int) -> None:
    """CrossFootError with both names and numbers when they differ."""
    if value != other_value:
        raise CrossFootError(
            _(
                "The report was not issued, because two figures contradict each other: %(a)s: %(n)d, %(b)s: %(m)d."
            )
            % {"a": name, "n": value, "b": other, "m": other_value}
        )
