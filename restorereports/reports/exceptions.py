"""Section 10 of a report: restore sessions whose class was changed, and rows that EM altered after first sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F
from django.utils.translation import gettext as _

from restorereports.models import ClassChange, Reader, RestoreSessionChange, User
from restorereports.models.restore_session import RestoreSessionQuerySet

MOST_EACH: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Reclassified:
    """One change of class. `rules`: the number of the rules whose run it was, None for a hand."""

    started_at: datetime
    vm_name: str
    backup_server: str
    uid: str
    before: str
    after: str
    by: str
    rules: int | None
    at: datetime
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Altered:
    """EM changed a restore session after it had been seen finished; `fields` are columns that followed EM or not."""

    started_at: datetime
    vm_name: str
    backup_server: str
    uid: str
    enterprise_manager: str
    at: datetime
    taken: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exceptions:
    """Newest first, bounded. `changes` counts every change that EM made, also those of a run that went on."""

    reclassified: tuple[Reclassified, ...]
    reclassified_total: int
    altered: tuple[Altered, ...]
    altered_total: int
    changes: int


def exceptions(rows: RestoreSessionQuerySet, *, reader: Reader) -> Exceptions:
    """Of the restore sessions of the period."""
    ids = rows.order_by().values("pk")
    classes: Any = ClassChange.objects.filter(restore_session__in=ids)
    changes: Any = RestoreSessionChange.objects.filter(restore_session__in=ids)
    altered = changes.exclude(fields__has_key="state")
    return Exceptions(
        reclassified=_reclassified(classes, reader),
        reclassified_total=classes.count(),
        altered=_altered(altered, reader),
        altered_total=altered.count(),
        changes=changes.count(),
    )


def _reclassified(found: Any, reader: Reader) -> tuple[Reclassified, ...]:
    newest = found.select_related("restore_session", "by").annotate(
        server_name=F("restore_session__backup_server__name")
    )
    newest = list(newest.order_by("-pk")[:MOST_EACH])
    names = names_of({change.by_id for change in newest if change.by_id}, reader)
    return tuple(
        Reclassified(
            started_at=change.restore_session.started_at,
            vm_name=change.restore_session.vm_name,
            backup_server=change.server_name,
            uid=change.restore_session.uid,
            before=change.before,
            after=change.after,
            by=names.get(change.by_id, _("unknown")) if change.by_id else "",
            rules=change.run,
            at=change.at,
            reason=change.reason,
        )
        for change in newest
    )


def _altered(found: Any, reader: Reader) -> tuple[Altered, ...]:
    newest = found.select_related("restore_session").annotate(
        server_name=F("restore_session__backup_server__name"), manager_name=F("enterprise_manager__name")
    )
    granted = reader.granted
    return tuple(
        Altered(
            started_at=change.restore_session.started_at,
            vm_name=change.restore_session.vm_name,
            backup_server=change.server_name,
            uid=change.restore_session.uid,
            enterprise_manager=change.manager_name
            if granted.everything or change.enterprise_manager_id in granted.managers
            else "",
            at=change.at,
            taken=tuple(sorted(change.fields)),
            kept=tuple(sorted(change.kept)),
        )
        for change in newest.order_by("-pk")[:MOST_EACH]
    )


def names_of(people: set[int], reader: Reader) -> Mapping[int, str]:
    """Names of the people whom the reader may know."""
    known = User.objects.visible_to(reader).filter(pk__in=people)
    return {user.pk: user.shown_name for user in known}
