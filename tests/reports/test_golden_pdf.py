"""The PDF of the golden population read back as text: each section in order, and every figure counted by hand."""

from __future__ import annotations

import re
import zoneinfo

import pytest
from django.core.management import call_command
from django.db import transaction

from restorereports.models import SYSTEM, Report
from restorereports.policies.verdicts import VmVerdict
from restorereports.reports import document, pdf
from restorereports.reports.figures import gather
from restorereports.reports.request import request_report
from tests import golden

from .glyphs import reader_of, text_of, undrawn

pytestmark = pytest.mark.django_db

SECTIONS = (
    "1 Scope and reader’s guide",
    "2 Executive summary",
    "3 Coverage against the policy",
    "4 Failed, warning, no result",
    "5 Durations against RTO",
    "6 Per backup server",
    "7 Per VM",
    "8 Trend, 13 months",
    "9 Provenance and gaps",
    "10 Exceptions and corrections",
    "11 Sign-off",
    "A Appendix",
)
WORDS = {"met": "Met", "not_met": "Not met", "inconclusive": "Inconclusive"}
_made: dict[str, bytes] = {}


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    call_command("build_assets")


def golden_pdf(language: str = "en", stage: str = "final") -> bytes:
    """Made once for each language and stage."""
    key = f"{language} {stage}"
    if key not in _made:
        with transaction.atomic():
            report = request_report(
                scope=golden.WHOLE,
                zone=golden.ZONE.key,
                organisation="Example AG",
                requested_by=None,
                at=golden.AS_OF,
                policy_version=golden.make_golden().version,
                language=language,
                stage=stage,
                classification="Internal",
                distribution="Internal Audit; IT Operations",
            )
            _made[key] = pdf_of(report)
            transaction.set_rollback(True)  # the next language brings the same population
    return _made[key]


def pdf_of(report: Report) -> bytes:
    figures = gather(
        scope=report.restore_session_scope(),
        zone=zoneinfo.ZoneInfo(report.zone),
        as_of=golden.AS_OF,
        reader=SYSTEM,
        policy_version=report.policy_version,
    )
    return pdf.make(document.html(report, figures), identifier=str(report)).pdf


@pytest.fixture
def text() -> str:
    return text_of(golden_pdf())


def part(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def test_the_sections_stand_in_the_order_of_the_specification() -> None:
    titles = [
        str(entry["/Title"]) for entry in reader_of(golden_pdf()).outline if not isinstance(entry, list)
    ]

    assert titles == ["Restore evidence report", *SECTIONS]
    assert undrawn(golden_pdf()) == []


def test_each_vm_has_the_verdict_that_the_hand_gave(text: str) -> None:
    table = part(text, "Table 3.2 VMs, worst first", "Table 3.3")

    for verdict, names in golden.VERDICTS.items():
        label = VmVerdict(verdict).label
        for name in names:
            row = re.search(rf"\b{name} vbr-[abc] (Gold|Silver|Bronze) (.*?) ({label}) ", table)
            assert row, f"{name}: {label}"
            assert len(row[2]) < 70, f"{name}: the word is of another row"
    assert table.count("vbr-") == sum(len(names) for names in golden.VERDICTS.values())


@pytest.mark.parametrize("table", ["Table 2.1", "Table 3.1"])
def test_each_tier_has_the_figures_that_the_hand_counted(text: str, table: str) -> None:
    rows = part(text, table, "Total")

    for name, (in_scope, tested, measured, judged, _below) in golden.TIERS.items():
        row = re.search(
            rf"\b{name} \d+ d {in_scope} .*? {tested} / {measured} ([\d.]+ %) \d+ % ([A-Z][a-z]+( met)?)",
            rows,
        )
        assert row, name
        assert row[1] == f"{100 * tested / measured:.1f} %"
        assert row[2] == WORDS[judged]


def test_the_days_on_which_tiers_fall_below_their_targets_are_told(text: str) -> None:
    told = re.findall(r"(\w+) is below its target from (\S+)\.", text)

    assert told == [(name, below) for name, (*_figures, below) in golden.TIERS.items() if below]


def test_the_four_requirements_have_the_figures_that_the_hand_counted(text: str) -> None:
    boxes = part(text, "2 Executive summary Not met", "Table 2.1")
    tested = sum(tier[1] for tier in golden.TIERS.values())
    measured = sum(tier[2] for tier in golden.TIERS.values())
    within, restored = (sum(found) for found in zip(*golden.RTO.values(), strict=True))
    in_time, due, waiting = golden.FOLLOW_UP

    for words, n, whole in (
        ("Coverage Not met", tested, measured),
        ("Success rate Inconclusive", *golden.SUCCESS),
        ("Durations against RTO Inconclusive", within, restored),
        ("Follow-up of failures Inconclusive", in_time, due),
    ):
        assert f"{words} {n} / {whole} · {100 * n / whole:.1f} %" in boxes
    assert f"{waiting} still has time." in boxes


def test_the_sum_of_the_scope_is_written_out(text: str) -> None:
    count = {verdict: len(names) for verdict, names in golden.VERDICTS.items()}
    everything = sum(count.values())
    measured = everything - count["exempt"] - count["new"]

    assert (
        f"{everything} VMs in scope − {count['exempt']} exempt − {count['new']} new within the grace of 30 days = "
        f"{measured}. Of these {count['met'] + count['due_soon']} tested, {count['overdue']} overdue, "
        f"{count['never']} never tested, {count['inconclusive']} inconclusive." in text
    )


def test_durations_stand_against_the_rto_of_their_tier(text: str) -> None:
    rows = part(text, "Table 5.2", "Total of tiers")

    assert re.search(r"Gold 01:00:00 7 00:31:00 01:01:00 01:01:00 6 / 7 85\.7 % Inconclusive", rows)
    assert "Silver 04:00:00 2 values: 00:31:00, 00:31:00 2 / 2 100.0 % Inconclusive" in rows
    assert (
        "Misses of Gold, 1 of 1 named, the longest first: gold-02 (vbr-a) 2028-03-01 23:59:59 01:01:00."
        in text
    )


def test_the_rows_of_the_period_cross_foot_in_print(text: str) -> None:
    total = " ".join(str(n) for n in golden.COUNTS.values())
    n, completed = golden.SUCCESS

    assert text.count(f"Total {total} {sum(golden.COUNTS.values())} {n} / {completed} 70.0 %") == 1
    assert f"{golden.CARRIED_IN} carried in is listed in section 4 and not counted." in text


def test_a_failure_is_told_with_note_acknowledgement_and_what_followed(text: str) -> None:
    listed = part(text, "Table 4.1", "Table 4.2")

    assert re.search(
        r"gold-14 vbr-a Failed 00:31:00 01:00:00 Whole VM · class Test · initiator not provided by EM · [0-9a-f-]{36} "
        r"Note of \S+: Looked at gold-14 failed · Acknowledged by \S+, 2028-04-01 11:31:00",
        listed,
    )
    assert listed.count("Not acknowledged") == 3


def test_sign_off_has_three_boxes_and_no_signature(text: str) -> None:
    signed = part(text, "11 Sign-off The", "A Appendix")

    assert "reviewer confirms having read section 4 (failures and their follow-up) and section 9" in signed
    assert re.sub(r" page \d+ of \d+.*", "", signed).count("Name") == 3
    for word in ("Prepared", "Reviewed", "Approved"):
        assert signed.count(word) == 1
    assert "ignature" not in signed


def test_the_head_says_draft_or_final_and_nothing_says_compliant_or_passed(text: str) -> None:
    draft = text_of(golden_pdf(stage="draft"))

    assert re.search(r"RR-2028-\d+ · FINAL · Internal", text)
    assert re.search(r"RR-2028-\d+ · DRAFT · Internal", draft)
    assert "FINAL" not in draft
    assert not re.search(r"complian|\bpassed\b", text, re.IGNORECASE)


def test_in_german_numbers_shares_and_days_are_written_the_german_way() -> None:
    text = text_of(golden_pdf("de"))

    assert "14 / 20 · 70,0 %" in text
    assert "1. Januar bis 31. März 2028" in text
    assert "01.03.2028 23:59:59" in text
    assert not re.search(r"\d\.\d %", text)
    assert not re.search(r"\b(Not met|Overdue|Never tested|Table|page)\b", text)
