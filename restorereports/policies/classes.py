"""Setting the class of restore sessions: by hand with a reason, or by running changed rules over old ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from restorereports.audit import Action, Actor, record
from restorereports.models import (
    SYSTEM,
    ClassChange,
    ClassRules,
    RestoreSession,
    SessionClass,
    User,
)

from .class_rules import Classify, ClassRule, classifier, latest_rules, plain_rules, read_rules

_CHUNK: Final = 2000  # rows of one query


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPreview:
    """What a run of the latest rules over old restore sessions would do. `changes`: by (before, after) how many.

    `by_hand`: set by people, which a run leaves alone.
    """

    rules: int
    rows: int
    by_hand: int
    changes: Mapping[tuple[str, str], int]

    @property
    def changed(self) -> int:
        return sum(self.changes.values())


def set_by_hand(
    row: RestoreSession, *, session_class: str, reason: str, person: User, actor: Actor, at: datetime
) -> None:
    """From now on the class is what the person says, whatever rules say; ValueError without a reason."""
    if session_class not in SessionClass.values:
        raise ValueError(
            _("“%(name)s” is no class; choose test, real or unset.") % {"name": session_class[:40]}
        )
    if not reason.strip():
        raise ValueError(_("Say why: the reason is printed with the change in reports."))
    with transaction.atomic():
        mine = RestoreSession.objects.visible_to(SYSTEM).select_for_update(no_key=True).get(pk=row.pk)
        before = mine.session_class
        RestoreSession.objects.visible_to(SYSTEM).filter(pk=row.pk).update(
            session_class=session_class, class_by_hand=True
        )
        ClassChange.objects.create(
            restore_session=mine, before=before, after=session_class, reason=reason.strip(), at=at, by=person
        )
        record(
            Action.CLASS_SET,
            actor,
            of=mine,
            details={"class": [before, session_class], "reason": reason.strip()},
        )


def change_rules(
    rules: tuple[ClassRule, ...], *, note: str, person: User | None, actor: Actor, at: datetime
) -> ClassRules:
    """New restore sessions follow these from now on; old ones stay as they are. TermsError when they are wrong."""
    plain = plain_rules(read_rules(plain_rules(rules)))
    with transaction.atomic():
        latest = ClassRules.objects.select_for_update().order_by("-number").first()
        made = ClassRules.objects.create(
            number=latest.number + 1 if latest else 1, rules=plain, note=note, made_at=at, made_by=person
        )
        record(
            Action.CLASS_RULES_CHANGED,
            actor,
            of=made,
            details={"number": made.number, "rules": plain, "note": note},
        )
    return made


def preview_run(*, since: datetime) -> RunPreview:
    """What the latest rules would change of restore sessions started since then."""
    return _run(since, lambda _changed: None)


def run_rules(*, since: datetime, reason: str, person: User | None, actor: Actor, at: datetime) -> RunPreview:
    """Let restore sessions started since then follow the latest rules; what people set by hand stays."""
    if not reason.strip():
        raise ValueError(_("Say why: the reason is printed with the change in reports."))
    number = _number()

    def write(changed: list[_Change]) -> None:
        for after in {one.after for one in changed}:
            ids = [one.id for one in changed if one.after == after]
            RestoreSession.objects.visible_to(SYSTEM).filter(pk__in=ids).update(session_class=after)
        ClassChange.objects.bulk_create(
            ClassChange(
                restore_session_id=one.id,
                before=one.before,
                after=one.after,
                reason=reason.strip(),
                at=at,
                by=person,
                run=number,
            )
            for one in changed
        )

    with transaction.atomic():
        done = _run(since, write)
        told = {f"{before or 'unset'} > {after or 'unset'}": n for (before, after), n in done.changes.items()}
        details = {"rules": number, "since": since.isoformat(), "rows": done.rows, "changed": told}
        record(Action.CLASS_RULES_RUN, actor, details=details | {"reason": reason.strip()})
    return done


@dataclass(frozen=True, slots=True)
class _Change:
    id: int
    before: str
    after: str


def _run(since: datetime, write: Callable[[list[_Change]], None]) -> RunPreview:
    """Page by page, each held until it is written, so that a hand does not come between."""
    number, classify = _number(), classifier(latest_rules())
    changes: dict[tuple[str, str], int] = {}
    rows = 0
    for page in _pages(since):
        rows += len(page)
        changed = [one for one in (_change(row, classify) for row in page) if one.before != one.after]
        for one in changed:
            changes[one.before, one.after] = changes.get((one.before, one.after), 0) + 1
        write(changed)
    return RunPreview(rules=number, rows=rows, by_hand=_by_hand(since), changes=changes)


def _number() -> int:
    latest = ClassRules.objects.order_by("-number").first()
    return latest.number if latest else 0


def _old(since: datetime) -> Any:
    return RestoreSession.objects.visible_to(SYSTEM).started_in(since, None)


def _by_hand(since: datetime) -> int:
    return _old(since).filter(class_by_hand=True).order_by().count()


def _pages(since: datetime) -> Iterator[list[dict[str, Any]]]:
    wanted = ("pk", "vm_name", "backup_server__name", "started_at", "session_class")
    last = 0
    with transaction.atomic():
        while True:
            rows = _old(since).filter(class_by_hand=False, pk__gt=last).order_by("pk")
            page = list(rows.select_for_update(of=("self",), no_key=True).values(*wanted)[:_CHUNK])
            if not page:
                return
            yield page
            last = page[-1]["pk"]


def _change(row: dict[str, Any], classify: Classify) -> _Change:
    after = classify(row["vm_name"], row["backup_server__name"], row["started_at"])
    return _Change(row["pk"], row["session_class"], after)
