"""The mail about an Enterprise Manager that is not read: when it is raised, what it says, that it goes out once."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from restorereports.models import Alert, EnterpriseManager, SyncRun, User
from restorereports.reports import alerts
from restorereports.reports.alerts import deliver_alerts, raise_alerts, recipients
from restorereports.reports.mailbox import EmlBackend
from tests.factories import make_enterprise_manager, make_run, make_user
from tests.test_settings import load

from .test_mail import Mailbox

pytestmark = pytest.mark.django_db
GOOD = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
DAY, MINUTE, MOMENT = timedelta(days=1), timedelta(minutes=1), timedelta(microseconds=1)
MONTH = timedelta(days=30)
STALE, CRITICAL = Alert.Level.STALE, Alert.Level.CRITICAL


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> Iterator[Mailbox]:
    """A real SMTP server."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 5
    settings.DEFAULT_FROM_EMAIL = "Restore Reports <reports@example.test>"
    settings.ALERT_RECIPIENTS = ["duty@example.test"]
    yield box
    controller.stop()


@pytest.fixture
def em() -> EnterpriseManager:
    """Read well at GOOD; keeps a month."""
    found = make_enterprise_manager(name="em-north", shown_window=MONTH)
    make_run(found, started_at=GOOD)
    return found


def look(as_of: datetime) -> None:
    """What beat asks for every minute."""
    raise_alerts(as_of=as_of)
    deliver_alerts(as_of=as_of)


def fail(em: EnterpriseManager, at: datetime, error: str = "There was no answer in time.") -> SyncRun:
    return make_run(em, started_at=at, status=SyncRun.Status.FAILED, error=error)


def text_of(mailbox: Mailbox, kind: str = "plain") -> str:
    return " ".join(mailbox.last().get_body((kind,)).get_content().split())


# --- when ---


@pytest.mark.parametrize(
    ("window", "stale", "critical"),
    [
        (MONTH, 3 * DAY, 20 * DAY),
        (timedelta(days=9), 3 * DAY, 6 * DAY),
        (timedelta(days=8), timedelta(days=8) / 3, timedelta(days=16) / 3),
        (
            None,
            timedelta(days=7) / 3,
            timedelta(days=14) / 3,
        ),  # none seen: the shortest that EM can be set to
        (timedelta(days=2), timedelta(days=7) / 3, timedelta(days=14) / 3),
        (timedelta(days=90), 3 * DAY, 60 * DAY),
    ],
)
def test_stale_after_three_days_or_a_third_of_the_window_and_critical_after_two_thirds(
    em, window, stale, critical
) -> None:
    EnterpriseManager.objects.update(shown_window=window)

    def raised(age: timedelta) -> list[str]:
        raise_alerts(as_of=GOOD + age)
        return sorted(Alert.objects.values_list("level", flat=True))

    assert raised(stale - MOMENT) == []
    assert raised(stale) == [STALE]
    assert raised(critical - MOMENT) == [STALE]
    assert raised(critical) == [CRITICAL, STALE]
    assert raised(critical + 100 * DAY) == [CRITICAL, STALE]


def test_each_level_is_mailed_once_an_outage(em, mailbox) -> None:
    for days in range(30):
        look(GOOD + days * DAY)
        look(GOOD + days * DAY + MINUTE)

    assert [alert.level for alert in Alert.objects.order_by("pk")] == [STALE, CRITICAL]
    assert len(mailbox.messages) == 2
    assert all(alert.since_at == GOOD and alert.sent_at for alert in Alert.objects.all())


def test_the_next_outage_is_another_one(em, mailbox) -> None:
    look(GOOD + 4 * DAY)
    make_run(em, started_at=GOOD + 5 * DAY)

    look(GOOD + 6 * DAY)
    assert len(mailbox.messages) == 1
    look(GOOD + 9 * DAY)

    assert len(mailbox.messages) == 2
    assert Alert.objects.filter(level=STALE).count() == 2


def test_one_that_was_never_read_counts_from_when_it_was_added(em, mailbox) -> None:
    SyncRun.objects.all().delete()
    EnterpriseManager.objects.update(created_at=GOOD)
    fail(em, GOOD + DAY)

    look(GOOD + 3 * DAY)

    assert Alert.objects.get().since_at == GOOD
    assert "em-north was added 2026-07-01 04:00 UTC, and no sync has worked yet." in text_of(mailbox)
    assert "Older ones leave it earlier." in text_of(mailbox)


def test_failed_and_unfinished_syncs_do_not_end_an_outage(em) -> None:
    fail(em, GOOD + 2 * DAY)
    make_run(em, started_at=GOOD + 3 * DAY, status=SyncRun.Status.RUNNING)

    raise_alerts(as_of=GOOD + 3 * DAY)

    assert Alert.objects.get().since_at == GOOD


def test_a_paused_one_is_told_and_one_that_is_switched_off_is_not(em, mailbox) -> None:
    off = make_enterprise_manager(name="em-south", is_active=False)
    make_run(off, started_at=GOOD)
    EnterpriseManager.objects.filter(pk=em.pk).update(paused_at=GOOD, paused_because="logon_refused")

    look(GOOD + 4 * DAY)

    assert Alert.objects.get().enterprise_manager == em
    assert len(mailbox.messages) == 1


def test_after_a_long_silence_of_our_own_one_mail_tells_the_worst(em, mailbox) -> None:
    look(GOOD + 25 * DAY)

    assert Alert.objects.get().level == CRITICAL
    assert len(mailbox.messages) == 1


def test_what_waited_until_it_was_critical_is_told_as_critical_alone(em, mailbox, settings) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    look(GOOD + 4 * DAY)
    settings.EMAIL_PORT = port

    look(GOOD + 21 * DAY)

    assert [mailbox.last()["Subject"]] == ["Critical: em-north, no good sync since 2026-07-01"]
    assert len(mailbox.messages) == 1
    assert Alert.objects.get(level=STALE).closed_at == GOOD + 21 * DAY


def test_one_raise_for_many_takes_few_queries(django_assert_max_num_queries) -> None:
    for _number in range(8):
        make_run(make_enterprise_manager(), started_at=GOOD)
    with django_assert_max_num_queries(6):
        raise_alerts(as_of=GOOD + 4 * DAY)
    with django_assert_max_num_queries(3):
        raise_alerts(as_of=GOOD + 4 * DAY + MINUTE)

    assert Alert.objects.count() == 8


def test_two_workers_raise_one(em, monkeypatch) -> None:
    raise_alerts(as_of=GOOD + 4 * DAY)
    missing = alerts._missing

    def blind(outages: Any, as_of: datetime) -> list[Alert]:
        kept, _gone = list(Alert.objects.all()), Alert.objects.all().delete()
        found = list(missing(outages, as_of))
        Alert.objects.bulk_create(kept)
        return found

    monkeypatch.setattr(alerts, "_missing", blind)

    raise_alerts(as_of=GOOD + 4 * DAY)

    assert Alert.objects.count() == 1


# --- the clock ---


def test_a_clock_that_was_set_back_a_little_raises_nothing(em) -> None:
    raise_alerts(as_of=GOOD - 2 * DAY)

    assert not Alert.objects.exists()


def test_a_clock_that_was_set_back_far_is_told_unless_a_sync_comes_first(em, mailbox) -> None:
    look(GOOD - 10 * DAY)
    assert Alert.objects.get().level == STALE
    assert mailbox.messages == []

    look(GOOD - 10 * DAY + 5 * MINUTE)

    assert len(mailbox.messages) == 1
    assert "That moment lies ahead: the clock of this machine was set back since." in text_of(mailbox)


def test_after_a_clock_was_set_back_a_good_sync_closes_what_lies_ahead(em, mailbox) -> None:
    look(GOOD - 10 * DAY)
    make_run(em, started_at=GOOD - 10 * DAY + MINUTE)

    look(GOOD - 10 * DAY + 5 * MINUTE)

    assert Alert.objects.get().closed_at is not None
    assert mailbox.messages == []


def test_a_next_try_that_lies_far_ahead_is_drawn_near(em, mailbox, settings) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    look(GOOD + 10 * DAY)
    settings.EMAIL_PORT = port

    look(GOOD + 9 * DAY)

    assert len(mailbox.messages) == 1


# --- what it says ---


def test_the_mail_says_which_since_when_why_until_when_and_what_to_do(em, mailbox, settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    fail(em, GOOD + DAY)

    look(GOOD + 4 * DAY)

    message = mailbox.last()
    assert message["Subject"] == "Stale: em-north, no good sync since 2026-07-01"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"] == "duty@example.test"
    for kind in ("plain", "html"):
        text = text_of(mailbox, kind)
        for words in (
            "The last good sync of em-north began 2026-07-01 06:00 Europe/Berlin.",
            "There was no answer in time.",
            "“Sync now” on its page tries again at once.",
            "keeps them at least until 2026-07-31 06:00 Europe/Berlin",
            "as of 2026-07-05 06:00 Europe/Berlin",
            "One more mail follows",
        ):
            assert words in text, (kind, words)
        assert "Traceback" not in text


def test_a_critical_one_says_so(em, mailbox) -> None:
    look(GOOD + 20 * DAY)

    assert mailbox.last()["Subject"].startswith("Critical: em-north, ")
    assert "No further mail follows for this outage." in text_of(mailbox)


def test_past_the_window_it_says_that_some_may_be_lost(em, mailbox) -> None:
    look(GOOD + 40 * DAY)

    assert "was sure to keep them until 2026-07-31 04:00 UTC; some may be lost for good" in text_of(mailbox)


@pytest.mark.parametrize(
    ("because", "words", "remedy"),
    [
        ("logon_refused", "Log-on refused. The log-on was refused.", "then press “Try again”"),
        ("certificate_changed", "Certificate changed. The log-on was refused.", "then pin it"),
    ],
)
def test_a_pause_is_explained(em, mailbox, because: str, words: str, remedy: str) -> None:
    fail(em, GOOD + MINUTE, "The log-on was refused.")
    EnterpriseManager.objects.update(paused_at=GOOD, paused_because=because)

    look(GOOD + 4 * DAY)

    assert f"Its sync is paused until a person acts: {words}" in text_of(mailbox)
    assert remedy in text_of(mailbox)


def test_where_no_sync_was_tried_the_workers_are_named(em, mailbox) -> None:
    look(GOOD + 4 * DAY)

    assert "No sync was tried since then." in text_of(mailbox)
    assert "See whether beat and the worker for syncs run" in text_of(mailbox)


def test_a_sync_that_does_not_end_is_told(em, mailbox) -> None:
    make_run(em, started_at=GOOD + DAY, status=SyncRun.Status.RUNNING)

    look(GOOD + 4 * DAY)

    assert "No sync has worked since then; the last one began 2026-07-02 04:00 UTC." in text_of(mailbox)


@pytest.mark.parametrize("name", ["em\r\nBcc: evil@example.test", "em\u202enorth", "<b>em</b> & {{ 7 }}"])
def test_a_hostile_name_forges_neither_header_nor_markup(em, mailbox, name: str) -> None:
    EnterpriseManager.objects.update(name=name)
    fail(em, GOOD + DAY, "a\x1b\u202e<script>b")

    look(GOOD + 4 * DAY)

    message = mailbox.last()
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    assert "\u202e" not in message["Subject"]
    html = message.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "<b>em" not in html
    assert "\u202e" not in html
    assert Alert.objects.get().sent_at


def test_the_message_id_is_the_alert_s_own_at_every_try(em, mailbox) -> None:
    look(GOOD + 4 * DAY)
    first = mailbox.last()["Message-ID"]
    Alert.objects.update(sent_at=None)

    look(GOOD + 5 * DAY)
    again = mailbox.last()["Message-ID"]
    look(GOOD + 20 * DAY)

    assert first == again
    assert first.endswith("@example.test>")
    assert mailbox.last()["Message-ID"] != first


# --- to whom ---


def test_active_administrators_with_an_address_and_the_settings_are_told_once_each(settings) -> None:
    admin = User.Role.ADMINISTRATOR
    make_user(admin, email="Boss@example.test")
    make_user(admin, email="gone@example.test", is_active=False)
    make_user(admin, email="")
    make_user(admin, email="two@example.test\nBcc: evil@example.test")
    make_user(User.Role.AUDITOR, email="auditor@example.test")
    settings.ALERT_RECIPIENTS = ["boss@example.test", "duty@example.test"]

    assert recipients() == ["Boss@example.test", "duty@example.test"]


def test_with_nobody_to_tell_it_stays_unsent_says_so_and_goes_out_when_there_is_somebody(
    em, mailbox, settings
) -> None:
    settings.ALERT_RECIPIENTS = []
    for minutes in range(30):
        look(GOOD + 4 * DAY + minutes * MINUTE)
    alert = Alert.objects.get()
    assert alert.sent_at is None
    assert alert.error == "Nobody to tell: give administrators an e-mail address or set ALERT_RECIPIENTS."
    assert alert.attempts == 1
    assert list(Alert.objects.failed()) == [alert]

    make_user(User.Role.ADMINISTRATOR, email="boss@example.test")
    look(GOOD + 4 * DAY + 35 * MINUTE)

    alert.refresh_from_db()
    assert (alert.error, alert.recipients) == ("", "boss@example.test")
    assert alert.sent_at == pytest.approx(GOOD + 4 * DAY + 35 * MINUTE, abs=MINUTE)
    assert mailbox.messages[0][0] == ["boss@example.test"]


@pytest.mark.parametrize("value", ["duty", "a@example.test;b@example.test", "a@example.test\nb@example.test"])
def test_a_wrong_address_in_the_settings_stops_the_start(tmp_path: Path, value: str) -> None:
    result = load(tmp_path, ALERT_RECIPIENTS=value)

    assert result.returncode != 0
    assert "ALERT_RECIPIENTS must be e-mail addresses separated by commas" in result.stderr


def test_addresses_in_the_settings(tmp_path: Path) -> None:
    result = load(tmp_path, "settings.ALERT_RECIPIENTS", ALERT_RECIPIENTS=" a@example.test, b@example.test,")

    assert result.stdout.strip() == "['a@example.test', 'b@example.test']"


# --- how it goes out ---


def test_while_the_mail_server_is_away_it_is_tried_with_growing_waits_and_never_given_up(
    em, mailbox, settings
) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    when, tries = GOOD + 4 * DAY, []
    while len(tries) < 8:
        look(when)
        alert = Alert.objects.get()
        assert alert.error.startswith("The mail server 127.0.0.1:1 cannot be reached: ")
        assert alert.attempts == len(tries) + 1
        look(alert.next_try_at - timedelta(seconds=1))
        assert Alert.objects.get().attempts == len(tries) + 1, "tried before its time"
        tries.append(round((alert.next_try_at - when) / MINUTE))
        when = alert.next_try_at
    assert tries == [5, 30, 120, 360, 360, 360, 360, 360]

    settings.EMAIL_PORT = port
    look(when)

    assert len(mailbox.messages) == 1
    alert.refresh_from_db()
    assert (alert.error, alert.next_try_at) == ("", None)
    assert not Alert.objects.failed().exists()


def test_when_em_is_back_before_the_mail_is_out_nothing_is_sent(em, mailbox, settings) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    look(GOOD + 4 * DAY)
    settings.EMAIL_PORT = port
    make_run(em, started_at=GOOD + 4 * DAY + MINUTE)

    look(GOOD + 4 * DAY + 6 * MINUTE)

    alert = Alert.objects.get()
    assert (alert.closed_at, alert.sent_at) == (GOOD + 4 * DAY + 6 * MINUTE, None)
    assert mailbox.messages == []
    assert not Alert.objects.failed().exists()


def test_when_em_comes_back_between_the_look_and_the_mail_nothing_is_sent(em, mailbox) -> None:
    raise_alerts(as_of=GOOD + 4 * DAY)
    make_run(em, started_at=GOOD + 4 * DAY)

    deliver_alerts(as_of=GOOD + 4 * DAY)

    assert Alert.objects.get().closed_at is not None
    assert mailbox.messages == []


def test_what_was_sent_stays_as_a_record_when_em_is_back(em, mailbox) -> None:
    look(GOOD + 4 * DAY)
    make_run(em, started_at=GOOD + 5 * DAY)

    look(GOOD + 5 * DAY)

    assert Alert.objects.get().closed_at is None
    assert Alert.objects.get().recipients == "duty@example.test"


def test_one_that_is_switched_off_meanwhile_waits_and_goes_out_when_it_is_on_again(
    em, mailbox, settings
) -> None:
    raise_alerts(as_of=GOOD + 4 * DAY)
    EnterpriseManager.objects.update(is_active=False)
    look(GOOD + 5 * DAY)
    assert mailbox.messages == []

    EnterpriseManager.objects.update(is_active=True)
    look(GOOD + 6 * DAY)

    assert len(mailbox.messages) == 1


def test_a_worker_that_dies_while_it_sends_leaves_an_alert_that_says_so_and_is_tried_again(
    em, mailbox, monkeypatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Killed

    monkeypatch.setattr(alerts, "send", die)
    with pytest.raises(Killed):
        look(GOOD + 4 * DAY)
    monkeypatch.undo()
    assert Alert.objects.get().error == "The worker stopped while it sent this mail; it may have gone out."

    look(GOOD + 4 * DAY + 4 * MINUTE)
    assert mailbox.messages == []
    look(GOOD + 4 * DAY + 6 * MINUTE)

    assert len(mailbox.messages) == 1


@pytest.mark.parametrize("overtaken", ["before", "after"])
def test_two_workers_send_one_mail(em, mailbox, monkeypatch, overtaken: str) -> None:
    raise_alerts(as_of=GOOD + 4 * DAY)
    outage_of: Callable[..., Any] = alerts._outage_of

    def other_claims(alert: Alert, as_of: datetime) -> Any:
        Alert.objects.update(attempts=1, next_try_at=as_of + (MINUTE if overtaken == "before" else -MINUTE))
        return outage_of(alert, as_of)

    monkeypatch.setattr(alerts, "_outage_of", other_claims)

    deliver_alerts(as_of=GOOD + 4 * DAY)

    assert mailbox.messages == []


def test_an_alert_that_went_out_meanwhile_is_left_alone(em, mailbox) -> None:
    look(GOOD + 4 * DAY)

    alerts._deliver(Alert.objects.get().pk, ["duty@example.test"], GOOD + 4 * DAY)

    assert len(mailbox.messages) == 1


def test_recipients_that_the_server_refuses_are_named_and_the_others_get_it(em, mailbox, settings) -> None:
    settings.ALERT_RECIPIENTS = ["duty@example.test", "gone@example.test"]
    mailbox.refused = {"gone@example.test"}

    look(GOOD + 4 * DAY)

    alert = Alert.objects.get()
    assert alert.sent_at
    assert alert.error == "Sent, but the mail server refused: gone@example.test."
    assert mailbox.messages[0][0] == ["duty@example.test"]


def test_a_fault_of_our_own_is_recorded_and_hinders_no_other_alert(em, mailbox, monkeypatch) -> None:
    make_run(make_enterprise_manager(name="em-south", shown_window=MONTH), started_at=GOOD)
    right = alerts.message_of

    def wrong(alert: Alert, **values: datetime) -> Any:
        return right(alert, **values) if alert.enterprise_manager != em else 1 / 0

    monkeypatch.setattr(alerts, "message_of", wrong)

    look(GOOD + 4 * DAY)

    failed = Alert.objects.get(enterprise_manager=em)
    assert failed.error.startswith(
        "An internal fault (ZeroDivisionError); the log has the details under alert-"
    )
    assert mailbox.last()["Subject"].startswith("Stale: em-south")


def test_without_a_mail_server_it_is_a_file(em, settings, tmp_path) -> None:
    settings.EMAIL_BACKEND = f"{EmlBackend.__module__}.{EmlBackend.__name__}"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")

    look(GOOD + 4 * DAY)

    (path,) = Path(tmp_path / "mail").iterdir()
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert message["Subject"].startswith("Stale: em-north")
    assert message.defects == []
