"""The words of the document: period, clock changes, plurals, and that no number stands alone."""

from __future__ import annotations

import html as html_module
import re
import zoneinfo
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from restorereports.models import SYSTEM, Report, RestoreSession, RestoreSessionScope
from restorereports.reports import document
from restorereports.reports.figures import gather
from restorereports.reports.request import PeriodOpen, request_report
from tests.factories import (
    make_enterprise_manager,
    make_full_run,
    make_inventory,
    make_reconciliation,
    make_schedule,
    make_user,
)

from .population import AS_OF, JULY, july, make_population, make_troubles

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-07-01", "2026-10-01", "1 July to 30 September 2026"),
        ("2025-12-01", "2026-02-01", "1 December 2025 to 31 January 2026"),
        ("2026-07-01", "2026-07-02", "1 July 2026"),
        ("2024-02-01", "2024-03-01", "1 February to 29 February 2024"),
        ("2026-07-01T00:00", "2026-07-02T13:30", "2026-07-01 00:00 to 2026-07-02 13:30"),
        ("2026-07-01T00:00:01", "2026-07-02T13:30", "2026-07-01 00:00:01 to 2026-07-02 13:30"),
        ("2026-07-01", "2026-07-01", "2026-07-01 00:00 to 2026-07-01 00:00"),
    ],
)
def test_a_period_in_words(start: str, end: str, words: str) -> None:
    assert document.period_words(local(start), local(end)) == words


def test_days_of_a_clock_change_are_named_with_their_hours() -> None:
    assert document.clock_changes(local("2026-01-01"), local("2027-01-01")) == [
        "2026-03-29 has 23 hours",
        "2026-10-25 has 25 hours",
    ]
    assert document.clock_changes(local("2026-07-01"), local("2026-08-01")) == []


def test_without_the_package_s_metadata_the_version_is_still_said(monkeypatch) -> None:
    def missing(_name: str) -> str:
        raise document.PackageNotFoundError

    monkeypatch.setattr(document, "version", missing)

    assert re.fullmatch(r"\d+\.\d+\.\d+", document.app_version())


def make_report(scope: RestoreSessionScope = JULY, **values) -> Report:
    values = {"zone": "UTC", "organisation": "", "requested_by": None, "at": AS_OF} | values
    return request_report(scope=scope, **values)


def text_of(report: Report, *, as_of: datetime = AS_OF) -> str:
    """The document's text, blanks folded, as a reader sees it."""
    figures = gather(
        scope=report.restore_session_scope(),
        zone=zoneinfo.ZoneInfo(report.zone),
        as_of=as_of,
        reader=SYSTEM,
    )
    text = re.sub(r"<(script|svg|head)\b.*?</\1>", " ", document.html(report, figures), flags=re.S)
    text = re.sub(r"<(/?(td|th|tr|div|p|h\d|li|br|section|table)\b)", r" <\1", text)
    return " ".join(html_module.unescape(re.sub(r"<[^>]*>", "", text)).split())


pytestmark = pytest.mark.django_db


def test_the_cover_says_what_was_restored_with_its_whole() -> None:
    make_population()

    text = text_of(make_report(organisation="Example AG"))

    assert text.startswith("Example AG Restore evidence report")
    assert "1 July to 31 July 2026" in text
    assert "2026-07-01 00:00 to 2026-08-01 00:00 UTC, end excluded" in text
    assert "6 of 11 completed restore sessions ended with Success: 54.5 %." in text
    assert "2 Failed, 1 Warning, 1 No result, 1 Other. 2 were in progress." in text
    assert "Data as of 2026-08-01 06:00:00 UTC · 2026-08-01T06:00:00.000Z" in text
    assert (
        "Data quality: Complete. 1 Enterprise Manager: each moment of the period was read without a gap, and a "
        "full sync after its end closed it." in text
    )


def test_one_of_each_is_said_in_the_singular() -> None:
    population = make_population()
    keep = RestoreSession.objects.get(started_at=july(5)).pk
    RestoreSession.objects.exclude(pk=keep).update(started_at=datetime(2019, 1, 1, tzinfo=UTC))
    population.add(population.a, "vm1", july(5, 20), state="Working", result="None")

    text = text_of(make_report())

    assert "0 of 1 completed restore session ended with Success: 0.0 %." in text
    assert "1 was in progress." in text
    assert "1 restore session was completed without Success" in text
    assert "Table 4.1 Completed without Success, newest first 1 row " in text
    assert "1 restore session of the period was in progress when the data were taken" in text


def test_a_final_state_unknown_is_listed_and_in_the_sums_and_never_a_success() -> None:
    make_population()
    RestoreSession.objects.filter(state="Working").update(outcome="Unknown")

    text = text_of(make_report())

    assert "6 of 11 completed restore sessions ended with Success: 54.5 %." in text
    assert "1 was in progress. The final state of 1 is unknown." in text
    assert "Final state unknown: 1. EM no longer knows it, and it was never seen stopped" in text
    assert "Working – Final state unknown" in text
    assert (
        "1\u00a0in\u00a0progress + 1\u00a0of\u00a0unknown\u00a0final\u00a0state".replace("\u00a0", " ")
        in text
    )


def test_nothing_is_no_restores_and_never_a_share() -> None:
    text = text_of(make_report()).rpartition("Definitions")[0]

    assert "No restore session was completed in the period: no restores." in text
    assert "0.0 %" not in text
    assert "100.0 %" not in text
    assert "No Enterprise Manager is set up" in text
    assert "No restore session has been received yet." in text


def test_without_a_policy_nothing_is_judged_and_each_section_says_so() -> None:
    make_population()

    text = text_of(make_report())

    assert "No policy was chosen, so nothing is judged." in text
    assert "No policy was chosen for this report, so coverage is not judged" in text
    assert "No policy was chosen for this report, so there is no RTO to measure against." in text
    judged = text.rpartition("Definitions")[0]
    assert not re.search(r"complian|\bmet\b|passed|overdue|never tested", judged, re.IGNORECASE)


def test_a_rate_in_a_table_stands_beside_its_two_figures() -> None:
    make_population()

    text = text_of(make_report()).rpartition("How to read it")[0]

    assert "Total 6 1 2 1 1 2 0 13 6 / 11 54.5 %" in text
    for found in re.finditer(r"\d[\d,]*\.\d %", text):
        before = text[max(found.start() - 120, 0) : found.start()]
        assert re.search(r"\d / \d|\d of \d|asks for at least", before), f"{before}{found[0]}"


def test_what_enterprise_manager_does_not_list_is_named() -> None:
    text = text_of(make_report())

    for word in ("SureBackup", "Agents", "NAS", "AHV", "application items", "initiator"):
        assert word in text


def test_an_unfinished_period_and_an_unread_end_are_said() -> None:
    make_population()

    text = text_of(make_report(), as_of=july(20))

    assert "The period was not over when the data were taken: these figures are not final." in text
    assert (
        "Data quality: Not yet known. What is missing can still come, or was never there; the figures may change. "
        "Why, and for how many stretches of time: No full sync since then (1). See section 9, table 9.4."
        in text
    )


def test_the_message_of_a_failure_and_what_followed_it_are_listed() -> None:
    make_population()

    text = text_of(make_report())

    assert re.search(
        r"2026-07-05 10:00:00 vm1 vbr-a Failed 00:30:00 10:00:00 Whole VM · class Unset · "
        r"initiator not provided by EM · [0-9a-f-]{36} Storage is not reachable Not acknowledged",
        text,
    )
    assert "Other Cancelled" in text


def test_times_are_those_of_the_report_s_zone() -> None:
    make_population()

    text = text_of(make_report(zone="Europe/Berlin"))

    assert "2026-07-05 12:00:00 vm1" in text
    assert "No clock change in the period" in text
    assert "Clock changes in the period: 2026-10-25 has 25 hours." in text_of(
        make_report(
            RestoreSessionScope(
                start=datetime(2026, 10, 1, tzinfo=BERLIN), end=datetime(2026, 11, 1, tzinfo=BERLIN)
            ),
            zone="Europe/Berlin",
        )
    )


def test_a_filter_is_printed_in_words() -> None:
    population = make_population()

    text = text_of(make_report(replace(JULY, backup_servers=(population.a.pk,), vm="vm")))

    assert "Backup server: vbr-a; VM name contains: vm" in text


def test_without_a_sync_no_absence_of_gaps_is_claimed() -> None:
    make_enterprise_manager(name="em-never")

    text = text_of(make_report())

    assert "Never read in full (1)" in text
    assert "No gap is on record; what has not been read: table 9.4." in text
    assert re.search(
        r"em-never all 2026-07-01 00:00:00 2026-08-01 00:00:00 Never read in full Not yet known", text
    )
    assert "em-never not tried yet" in text
    assert "None seen" not in text


def test_what_is_complete_says_how_far_back_it_was_read_and_that_it_was_compared() -> None:
    make_population()

    text = text_of(make_report())

    assert "None seen: each full sync reached back to the good sync before it." in text
    assert "No outage of EM’s collector of more than 24 hours is on record for the period." in text
    assert (
        "em-north Complete 2026-08-01 05:00:00 shows restore sessions up to 91 d old; older ones were seen to leave "
        "EM returned history back to 2026-05-10 00:00:00; nothing older can be recovered" in text
    )
    assert "restore scope: everything" in text
    assert (
        "EM’s own list and count equalled the mirror for 1 of 1 Enterprise Manager when they were last compared"
        in text
    )
    assert "em-north Reconciled 2026-08-01 05:00:00 2026-07-02 05:00:00 13 13 0 0 15 15" in text
    assert "em-north vbr-b 7 7 0 em-north vbr-a 6 6 0 Total 13 13 0" in text
    assert "2 VMs had a restore point at 2026-08-01 00:00:00" in text
    assert "not compared with the rows" not in text
    assert "Table 9.4 What is not complete: no rows. Table 9.5" in text


def test_what_is_not_complete_is_told_with_causes_notes_outages_and_differences() -> None:
    make_troubles(make_population())

    text = text_of(make_report())

    assert (
        "Data quality: Incomplete. Restore sessions of the period may be missing: every figure is of what was read."
        in text
    )
    assert (
        "em-south all 2026-07-03 10:00:00 2026-07-09 10:00:00 Syncs failed Restore sessions may be missing"
        in text
    )
    assert "Log-on refused. Check the account." in text
    assert "2026-08-01 05:00:00 B. Sample: The account was locked." in text
    assert "[324 characters in all]" in text
    assert "em-south em-south-2 2026-07-27 10:00:00 still so not provided by EM" in text
    assert "em-south all 2026-07-20 10:00:00 2026-07-24 10:00:00 Failed to connect to em-south-1" in text
    assert "em-south-removed, removed from EM on 2026-07-18 10:00:00 (em-south)" in text
    assert "Not reconciled compared twice" in text
    assert "Only in em-south, 3 of 12 named: 00000000-0000-4000-8000-0000000000aa, " in text
    assert "Held here and not listed by em-south, 2 of 2 named:" in text
    assert "em-south em-south-1 100 88 −12" in text
    assert "restore scope: a part" in text
    assert "The account of 1 Enterprise Manager is declared to see a part of it" in text
    assert "shows restore sessions at least 20 d old; none was seen to leave" in text
    assert re.search(r"em-south 1 2026-08-01 04:00:00 2026-08-01 04:00:00 3 5 −2", text)


def test_whoever_may_not_read_the_lists_to_compare_with_is_said() -> None:
    manager = make_enterprise_manager(name="em", covered_from_at=datetime(2026, 5, 1, tzinfo=UTC))
    run = make_full_run(manager, started_at=AS_OF)
    make_reconciliation(run, state="not_readable", listed=None, held=None, counted=None, mirrored=None)
    make_inventory(run, state="not_readable")

    text = text_of(make_report())

    assert text.count("Not readable with this role") == 2
    assert "Data quality: Complete." in text


def test_who_asked_is_named() -> None:
    person = make_user(username="b.sample", first_name="B.", last_name="Sample")

    assert "Prepared by Command line" in text_of(make_report())
    assert "Prepared by B. Sample" in text_of(make_report(requested_by=person))
    assert "Prepared by Schedule “Monthly”" in text_of(make_report(schedule=make_schedule(name="Monthly")))


def test_the_file_name_holds_days_and_number_alone() -> None:
    report = make_report(organisation="../../etc")

    assert document.file_name(report) == f"restore-report-2026-07-01-to-2026-07-31-{report}.pdf"

    report.scope = {}
    with pytest.raises(ValueError, match="both ends"):
        document.file_name(report)


def test_a_report_needs_a_bounded_period() -> None:
    for scope in (
        RestoreSessionScope(start=JULY.start),
        RestoreSessionScope(end=JULY.end),
        RestoreSessionScope(start=JULY.end, end=JULY.start),
    ):
        with pytest.raises(PeriodOpen, match="start and an end"):
            make_report(scope)


def test_a_report_keeps_what_was_asked() -> None:
    report = make_report(organisation="Example AG", zone="Europe/Berlin")
    report.refresh_from_db()

    assert (report.status, report.restore_session_scope(), report.zone) == ("waiting", JULY, "Europe/Berlin")
    assert date(2026, 8, 1) == report.created_at.date()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "clock agrees"),
        (-60, "clock 60 s behind"),
        (3600.2, "clock 3,600 s ahead"),
        (None, "clock not compared"),
    ],
)
def test_the_clock_of_enterprise_manager_is_compared(seconds: float | None, words: str) -> None:
    population = make_population()
    population.manager.runs.update(clock_skew_seconds=seconds, database_skew_seconds=seconds)

    text = text_of(make_report())

    assert f"EM’s {words}" in text
    assert f"database’s {words}" in text


@pytest.mark.parametrize(("seconds", "marked"), [(60, False), (-61, True)])
def test_a_clock_more_than_60_seconds_off_is_marked(seconds: float, marked: bool) -> None:
    population = make_population()
    population.manager.runs.update(clock_skew_seconds=seconds)
    report = make_report()
    figures = gather(scope=JULY, zone=zoneinfo.ZoneInfo("UTC"), as_of=AS_OF, reader=SYSTEM)

    assert (f'<span class="v warning">{abs(seconds)} s' in document.html(report, figures)) == marked
