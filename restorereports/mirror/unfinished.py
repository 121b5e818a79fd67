"""Ask by id after restore sessions that are not finished and older than what the pages covered."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from django.utils import timezone

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import ServerFailing, UnexpectedAnswer
from restorereports.models import Outcome, RestoreSessionSource, SyncRun
from restorereports.models.restore_session import FINAL_STATE

from .lock import still_ours
from .missing import Seen, mark_missing
from .receive import receive

ASK_BY_ID_LIMIT = 200
ASK_NO_RESULT_FOR = timedelta(hours=24)
FAILURES_IN_A_ROW = 5  # so many, and it is EM that fails, not a few restore sessions that it cannot tell


def ask_unfinished(run: SyncRun, client: EnterpriseManagerClient, seen: Seen) -> None:
    """At most ASK_BY_ID_LIMIT a run, going on behind the last one the previous run asked.

    So the longest unasked comes first and nothing is written for an unchanged one. One that EM cannot tell keeps no
    other from being asked and does not fail the run: it is counted as unanswered.
    """
    asking = Asking(run, client, seen)
    for source_id, uid in _to_ask(run, run.window_from_at or run.oldest_at):
        run.asked_by_id += 1
        run.asked_up_to = source_id
        still_ours(run, asked_by_id=run.asked_by_id, asked_up_to=run.asked_up_to)
        if asking.ask(uid) is Told.GONE:
            source = RestoreSessionSource.objects.select_related("restore_session").get(pk=source_id)
            mark_missing(run, [source], at=timezone.now())


class Told(Enum):
    """What EM said when it was asked after one restore session."""

    STORED = "stored"
    GONE = "gone"
    NOTHING = "nothing"  # it could not tell: this one is asked again by the next run


class Asking:
    """Asks one by one. A few that EM cannot tell are counted on the run; many in a row fail it."""

    def __init__(self, run: SyncRun, client: EnterpriseManagerClient, seen: Seen) -> None:
        self._run, self._client, self._seen = run, client, seen
        self._failures_in_a_row = 0

    def ask(self, uid: str) -> Told:
        """Ask EM for this one and store it."""
        try:
            entity = self._client.restore_session(uid)
        except (ServerFailing, UnexpectedAnswer):
            self._run.unanswered += 1
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= FAILURES_IN_A_ROW:
                raise
            return Told.NOTHING
        self._failures_in_a_row = 0
        if entity is None:
            return Told.GONE
        self._seen.add(receive(self._run, (entity,)).sources)
        return Told.STORED


def _to_ask(run: SyncRun, covered_from: datetime | None) -> list[tuple[int, str]]:
    """(id, UID) of the sources to ask after, in turn. Found by indexes of the unfinished, not of the history.

    What EM once said to be gone is not asked for again: a full run would see it.
    """
    now = timezone.now()
    sources = RestoreSessionSource.objects.filter(
        enterprise_manager=run.enterprise_manager_id, missing_at=None
    )
    if covered_from is not None:
        sources = sources.filter(restore_session__started_at__lt=covered_from)
    unfinished = sources.exclude(restore_session__state=FINAL_STATE)
    without_result = sources.filter(
        restore_session__outcome=Outcome.NO_RESULT, restore_session__ended_at__gt=now - ASK_NO_RESULT_FOR
    )
    found = sorted({*unfinished.values_list("pk", "uid"), *without_result.values_list("pk", "uid")})
    behind = [row for row in found if row[0] > run.asked_up_to]
    return (behind + found[: len(found) - len(behind)])[:ASK_BY_ID_LIMIT]
