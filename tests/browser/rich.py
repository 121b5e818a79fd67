"""An Enterprise Manager about which there is everything to say: each state, long lists, hostile names."""

from __future__ import annotations

from datetime import datetime, timedelta

from restorereports.models import (
    Alert,
    BackupServerSource,
    EnterpriseManager,
    Gap,
    GapNote,
    Pulse,
    RestoreSession,
    User,
)
from tests.factories import (
    make_backup_server,
    make_change,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_outage,
    make_presence,
    make_reconciliation,
    make_restore_session,
    make_run,
    make_source,
)

LONG = "vbr-" + "n" * 990 + ".test"
UID = "urn:veeam:RestoreSession:{:08}-0000-4000-8000-000000000000"


def make_rich(author: User, now: datetime) -> tuple[EnterpriseManager, list[RestoreSession]]:
    """The Enterprise Manager, and a restore session with 60 changes and one whose final state is unknown."""
    em = make_enterprise_manager(
        name="em-rich.example.test",
        shown_window=timedelta(days=91, hours=5),
        window_is_cut=True,
        restore_scope="custom",
        full_sync_at=(now - timedelta(hours=3)).time().replace(microsecond=0),
        covered_from_at=now - timedelta(days=400),
        oldest_received_at=now - timedelta(days=491),
    )
    EnterpriseManager.objects.filter(pk=em.pk).update(created_at=now - timedelta(days=400))
    servers = [
        make_backup_server(em, name=name, version="12.3.2.3617")
        for name in [LONG, "<script>alert(1)</script>", "vbr-\u202egnp.test"]
        + [f"vbr-{n:02}.example.test" for n in range(57)]
    ]
    BackupServerSource.objects.filter(enterprise_manager=em).update(covered_from_at=em.covered_from_at)
    BackupServerSource.objects.filter(backup_server=servers[5]).update(removed_at=now - timedelta(days=2))
    for days in range(11, 0, -1):
        run = make_full_run(em, started_at=now - timedelta(days=days), missing=days % 3, seen=2000)
        make_reconciliation(run, listed=31, held=31, counted=2031, mirrored=2031)
    first, unknown = _sessions(em, servers, now)
    _gaps(em, servers, author, now)
    last = make_full_run(
        em,
        started_at=now - timedelta(hours=26),
        role="Portal Administrator",
        api_versions="v1_7",
        clock_skew_seconds=-95.0,
        database_skew_seconds=2.4,
        collector="partial",
        collected_at=now - timedelta(days=1, hours=3),
        missing=12,
        unanswered=3,
        seen=2031,
    )
    _compare(em, servers, last)
    make_inventory(
        last,
        since_at=now - timedelta(days=2),
        restore_points=812,
        vms=120,
        appeared=4,
        vanished=2,
        overview_protected=123,
        overview_backed_up=122,
        overview_restore_points=9214,
    )
    for number in range(120):
        make_presence(servers[number % 7], em, f"vm-{number}", now - timedelta(days=90))
    make_outage(em, now - timedelta(days=2, hours=4), backup_server=servers[0], run=last, message="x" * 500)
    make_outage(em, now - timedelta(hours=4), backup_server=servers[3], run=last)
    for number in range(3):
        make_run(
            em, status="failed", error="No answer in time.", started_at=now - timedelta(hours=3 - number)
        )
    Alert.objects.create(
        enterprise_manager=em,
        level="stale",
        since_at=now,
        created_at=now,
        attempts=3,
        error="550 mailbox unavailable",
    )
    Pulse.objects.create(worker="sync", at=now - timedelta(hours=1))
    return em, [first, unknown]


def _sessions(em, servers, now):  # type: ignore[no-untyped-def]
    first = make_restore_session(
        servers[3], enterprise_manager=em, started_at=now - timedelta(days=2), uid=UID.format(7)
    )
    for number in range(60):
        run = make_run(em, started_at=now - timedelta(hours=47) + timedelta(minutes=number))
        fields = {
            "state": ["Working", "Stopped"],
            "result": ["None", "Success"],
            "ended_at": [None, (now - timedelta(hours=46)).isoformat()],
            "name": ["x" * 1000, "<b>y</b>\u202e"],
        }
        make_change(
            first,
            run,
            fields=fields if number % 3 == 0 else {},
            kept={"state": ["Stopped", "Working"], "result": ["Success", "None"]} if number % 3 == 1 else {},
        )
    unknown = make_restore_session(
        servers[4],
        enterprise_manager=em,
        started_at=now - timedelta(days=3),
        state="Working",
        result="None",
        outcome="Unknown",
        ended_at=None,
    )
    other = make_enterprise_manager(name="em-other")
    make_full_run(other, started_at=now - timedelta(minutes=5))
    run = make_full_run(em, started_at=now - timedelta(days=1, hours=20))
    make_source(unknown, other, missing_at=now - timedelta(days=1), missing_run=run)
    for number, result in enumerate(["Success", "Failed", "Warning", "None", "Exploded"]):
        make_restore_session(
            servers[number], enterprise_manager=em, result=result, started_at=now - timedelta(days=4)
        )
    return first, unknown


def _gaps(em, servers, author, now):  # type: ignore[no-untyped-def]
    lost = make_gap(
        em,
        now - timedelta(days=210),
        to_at=now - timedelta(days=191),
        cause=Gap.Cause.FAILED,
        detail="The account was locked.",
    )
    texts = ("Locked on 2 May,\nunlocked on 19 June.\n\nTicket CHG-20418.", "word" * 1000)
    for text in texts:
        GapNote.objects.create(gap=lost, author=author, at=now - timedelta(days=180), text=text)
    at = now - timedelta(days=120)
    make_gap(em, at, to_at=at, cause=Gap.Cause.NOT_RUN)
    make_gap(
        em,
        now - timedelta(days=20),
        to_at=now - timedelta(days=12),
        backup_server=servers[0],
        cause=Gap.Cause.SERVER_AWAY,
    )
    make_gap(em, now - timedelta(days=95), detail="EM refused the log-on.", cause=Gap.Cause.FAILED)


def _compare(em, servers, run):  # type: ignore[no-untyped-def]
    make_reconciliation(
        run,
        state="different",
        retried=True,
        listed=331,
        held=329,
        counted=2031,
        mirrored=2029,
        servers=[[server.pk, 10, 10 - number % 3] for number, server in enumerate(servers)] + [[None, 2, 0]],
        only_em_count=23,
        only_em=[UID.format(number) for number in range(1000, 1023)],
        only_mirror_count=2,
        only_mirror=[UID.format(7), "z" * 255],
    )
