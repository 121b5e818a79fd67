"""The monthly mail: what it says, that it goes out once, and what a failure leaves behind."""

from __future__ import annotations

import email
import email.policy
import hashlib
import smtplib
import socket
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from aiosmtpd.controller import Controller
from django.core.mail import EmailMessage

from restorereports.models import BackupServer, Delivery, EnterpriseManager, Report
from restorereports.reports import mail, pdf
from restorereports.reports.files import path_of
from restorereports.reports.mail import WAITS, deliver_due, send_again
from restorereports.reports.mailbox import EmlBackend
from restorereports.reports.schedule import plan_deliveries
from restorereports.reports.smtp import SmtpBackend
from tests.factories import make_schedule

from .population import JULY, make_population

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.7 not much of one"
DUE = datetime(2026, 8, 1, 6, 30, tzinfo=UTC)


class Mailbox:
    """What a real SMTP server took, and which recipients or mails it refuses."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], bytes]] = []
        self.refused: set[str] = set()
        self.data_answer = "250 taken"

    async def handle_RCPT(self, _server, _session, envelope, address, _options) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope) -> str:
        if self.data_answer.startswith("250"):
            self.messages.append((envelope.rcpt_tos, envelope.content))
        return self.data_answer

    def last(self) -> email.message.EmailMessage:
        return email.message_from_bytes(self.messages[-1][1], policy=email.policy.default)


@pytest.fixture
def mailbox(settings):
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_TIMEOUT = 5
    settings.DEFAULT_FROM_EMAIL = "Restore Reports <reports@example.test>"
    yield box
    controller.stop()


@pytest.fixture(autouse=True)
def rendered(monkeypatch) -> list[str]:
    found: list[str] = []

    def write(_html: str, into: IO[bytes], *, identifier: str, **_options: object) -> int:
        found.append(identifier.partition(" ")[0])
        return into.write(PDF) and 9

    monkeypatch.setattr(pdf, "write", write)
    return found


@pytest.fixture
def delivery() -> Delivery:
    make_population()
    make_schedule(
        name="Monthly",
        organisation="Example AG",
        recipients="auditor@example.test\nboss@example.test",
        first_month=date(2026, 7, 1),
    )
    plan_deliveries(as_of=DUE)
    return Delivery.objects.get()


def attachment_of(message: email.message.EmailMessage) -> tuple[str, bytes]:
    (part,) = message.iter_attachments()
    return part.get_filename(), part.get_payload(decode=True)


def test_the_report_is_rendered_and_goes_out_with_key_figures_and_hash(mailbox, delivery, rendered) -> None:
    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.error) == (Delivery.Status.SENT, 1, "")
    assert delivery.sent_at is not None
    assert delivery.report.restore_session_scope() == JULY
    assert rendered == [str(delivery.report)]
    ((recipients, _content),) = mailbox.messages
    assert recipients == ["auditor@example.test", "boss@example.test"]
    assert mailbox.last()["Subject"] == f"Restore report 2026-07, Example AG ({delivery.report})"
    sha256 = hashlib.sha256(PDF).hexdigest()
    for kind in ("plain", "html"):
        text = " ".join(mailbox.last().get_body((kind,)).get_content().split())
        for words in (
            "2026-07-01 to 2026-07-31, UTC",
            "54.5 %",
            "Data as of 2026-08-01T06:30:0",
            sha256,
            "Monthly",
        ):
            assert words in text, (kind, words)
    text = mailbox.last().get_body(("plain",)).get_content()
    assert "Success: 6 / 11 completed restore sessions, 54.5 %" in text
    assert "Failed: 2" in text
    assert "Final state unknown, in no rate: 0" in text
    assert "vm1" not in mailbox.messages[0][1].decode()
    assert attachment_of(mailbox.last()) == (delivery.report.file_name, PDF)


def test_a_sent_delivery_is_not_sent_again(mailbox, delivery) -> None:
    for hours in range(3):
        deliver_due(as_of=DUE + timedelta(hours=hours))
        plan_deliveries(as_of=DUE + timedelta(hours=hours))

    assert len(mailbox.messages) == 1


def test_a_month_without_restores_is_mailed_as_such(mailbox) -> None:
    make_schedule(first_month=date(2026, 7, 1), organisation="")
    plan_deliveries(as_of=DUE)

    deliver_due(as_of=DUE)

    assert "Success: no restores" in mailbox.last().get_body(("plain",)).get_content()
    assert "%" not in mailbox.last().get_body(("plain",)).get_content()
    assert mailbox.last()["Subject"].startswith("Restore report 2026-07 (RR-")


def test_a_server_that_is_away_is_tried_again_with_growing_waits_then_given_up(
    mailbox, delivery, settings
) -> None:
    settings.EMAIL_PORT = 1
    when = DUE
    for number, wait in enumerate(WAITS, start=1):
        deliver_due(as_of=when)
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts) == (Delivery.Status.RETRYING, number)
        assert delivery.error.startswith("The mail server 127.0.0.1:1 cannot be reached: ")
        assert timedelta(0) <= delivery.next_try_at - (when + wait) < timedelta(seconds=30)
        deliver_due(as_of=when + wait - timedelta(seconds=1))
        delivery.refresh_from_db()
        assert delivery.attempts == number, "tried before its time"
        when = delivery.next_try_at

    deliver_due(as_of=when)
    delivery.refresh_from_db()

    assert (delivery.status, delivery.next_try_at) == (Delivery.Status.GIVEN_UP, None)
    assert [wait.total_seconds() / 60 for wait in WAITS] == [5, 30, 120, 360, 1440]
    deliver_due(as_of=when + timedelta(days=30))
    assert mailbox.messages == []


def test_what_was_given_up_can_be_sent_again_with_the_same_report(mailbox, delivery, rendered) -> None:
    deliver_due(as_of=DUE)
    Delivery.objects.update(status=Delivery.Status.GIVEN_UP, attempts=6, error="why")
    mailbox.messages.clear()

    assert send_again(delivery, DUE + timedelta(days=3))
    deliver_due(as_of=DUE + timedelta(days=3))

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.error) == (Delivery.Status.SENT, 1, "")
    assert (len(mailbox.messages), len(rendered)) == (1, 1)
    assert not send_again(delivery, DUE)


def test_a_worker_that_dies_while_it_sends_leaves_a_delivery_that_says_so_and_is_tried_again(
    mailbox, delivery, monkeypatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Killed

    monkeypatch.setattr(mail, "_send", die)
    with pytest.raises(Killed):
        deliver_due(as_of=DUE)
    monkeypatch.undo()

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (Delivery.Status.RETRYING, 1)
    assert delivery.error == "The worker stopped while it sent this mail; it may have gone out."
    deliver_due(as_of=DUE + timedelta(minutes=4))
    assert mailbox.messages == []
    deliver_due(as_of=DUE + timedelta(minutes=6))
    assert len(mailbox.messages) == 1


def test_a_worker_that_died_at_the_last_try_ends_in_given_up(mailbox, delivery) -> None:
    Delivery.objects.update(status=Delivery.Status.RETRYING, attempts=6, next_try_at=DUE)

    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.GIVEN_UP
    assert mailbox.messages == []


def test_two_workers_send_one_mail(mailbox, delivery, monkeypatch) -> None:
    claim = mail._claim

    def claimed_by_another(delivery_id: int, as_of: datetime) -> Delivery | None:
        assert claim(delivery_id, as_of)  # the other worker was a moment faster
        return claim(delivery_id, as_of)

    monkeypatch.setattr(mail, "_claim", claimed_by_another)

    deliver_due(as_of=DUE)

    assert mailbox.messages == []
    delivery.refresh_from_db()
    assert delivery.attempts == 1


def test_a_claim_that_another_worker_overtakes_is_not_ours(delivery, monkeypatch) -> None:
    first = Delivery.objects.due(DUE).select_related("schedule").get()
    Delivery.objects.update(attempts=1)
    monkeypatch.setattr("django.db.models.query.QuerySet.first", lambda self: first, raising=True)

    assert mail._claim(delivery.pk, DUE) is None


def test_every_try_bears_the_same_message_id(mailbox, delivery) -> None:
    deliver_due(as_of=DUE)
    first = mailbox.last()["Message-ID"]
    Delivery.objects.update(status=Delivery.Status.RETRYING, next_try_at=DUE)

    deliver_due(as_of=DUE)

    assert mailbox.last()["Message-ID"] == first
    assert first.endswith("@example.test>")


def test_recipients_that_the_server_refuses_are_named_and_the_others_get_it(mailbox, delivery) -> None:
    mailbox.refused = {"boss@example.test"}

    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.SENT
    assert delivery.error == "Sent, but the mail server refused: boss@example.test."
    assert mailbox.messages[0][0] == ["auditor@example.test"]


def test_when_every_recipient_is_refused_the_answer_is_told(mailbox, delivery) -> None:
    mailbox.refused = {"boss@example.test", "auditor@example.test"}

    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.RETRYING
    assert "refused every recipient: auditor@example.test (550 no such mailbox)" in delivery.error


def test_a_mail_that_the_server_refuses_is_told_with_its_answer(mailbox, delivery) -> None:
    mailbox.data_answer = "552 too big"

    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert delivery.error.endswith("refused the mail: 552 too big.")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (smtplib.SMTPAuthenticationError(535, b"no"), "refused the log-on. Check EMAIL_URL."),
        (smtplib.SMTPServerDisconnected("gone"), "broke off: gone."),
        (smtplib.SMTPDataError(554, "a\u202eb"), "refused the mail: 554 aU+202Eb."),
        (PermissionError(13, "Permission denied", "/var/mail/x"), "/var/mail/x: Permission denied."),
    ],
)
def test_failures_in_plain_words(failure: Exception, words: str) -> None:
    assert mail._in_plain_words(failure).endswith(words)


def test_a_fault_of_our_own_is_recorded_and_hinders_no_other_delivery(mailbox, delivery, monkeypatch) -> None:
    make_schedule(name="Second", first_month=date(2026, 7, 1))
    plan_deliveries(as_of=DUE)
    right = mail.message_of

    def wrong(which: Delivery, report: Report, **values: datetime) -> EmailMessage:
        return right(which, report, **values) if which.pk != delivery.pk else 1 / 0

    monkeypatch.setattr(mail, "message_of", wrong)

    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert delivery.error.startswith("An internal fault (ZeroDivisionError); the log has the details")
    assert len(mailbox.messages) == 1


def test_a_report_that_fails_is_told_and_made_anew_at_the_next_try(mailbox, delivery, monkeypatch) -> None:
    right = pdf.write
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)
    deliver_due(as_of=DUE)
    delivery.refresh_from_db()
    failed = delivery.report
    assert delivery.error.startswith("The report failed: An internal fault (ZeroDivisionError)")
    assert delivery.status == Delivery.Status.RETRYING

    monkeypatch.setattr(pdf, "write", right)
    deliver_due(as_of=DUE + timedelta(minutes=6))

    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.SENT
    assert delivery.report != failed


def test_while_another_worker_renders_nothing_is_sent_or_counted(mailbox, delivery) -> None:
    deliver_due(as_of=DUE)
    Delivery.objects.update(status=Delivery.Status.PLANNED, attempts=0, next_try_at=None)
    Report.objects.update(status=Report.Status.RENDERING, started_at=DUE)
    mailbox.messages.clear()

    deliver_due(as_of=DUE + timedelta(minutes=1))

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (Delivery.Status.PLANNED, 0)
    assert mailbox.messages == []


def test_a_report_whose_file_was_lost_is_made_anew(mailbox, delivery) -> None:
    deliver_due(as_of=DUE)
    delivery.refresh_from_db()
    path_of(delivery.report).unlink()
    Delivery.objects.update(status=Delivery.Status.RETRYING, next_try_at=DUE)

    deliver_due(as_of=DUE)

    assert len(mailbox.messages) == 2
    assert Report.objects.count() == 2


def test_nothing_goes_out_of_a_schedule_that_was_switched_off(mailbox, delivery) -> None:
    delivery.schedule.is_active = False
    delivery.schedule.save()

    deliver_due(as_of=DUE)

    delivery.refresh_from_db()
    assert (delivery.status, mailbox.messages) == (Delivery.Status.PLANNED, [])


def test_a_delivery_that_was_sent_meanwhile_is_left_alone(mailbox, delivery) -> None:
    Delivery.objects.update(status=Delivery.Status.SENT)

    mail._deliver(delivery.pk, DUE)

    assert mailbox.messages == []
    assert not Report.objects.exists()


def test_the_scope_of_the_schedule_is_the_report_s(mailbox, delivery) -> None:
    manager, server = EnterpriseManager.objects.get(), BackupServer.objects.get(name="vbr-a")
    delivery.schedule.enterprise_managers.add(manager)
    delivery.schedule.backup_servers.add(server)

    deliver_due(as_of=DUE)

    scope = Report.objects.get().restore_session_scope()
    assert scope.enterprise_managers == (manager.pk,)
    assert scope.backup_servers == (server.pk,)


def test_without_a_mail_server_each_mail_is_a_file(delivery, settings, tmp_path) -> None:
    settings.EMAIL_BACKEND = f"{EmlBackend.__module__}.{EmlBackend.__name__}"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    make_schedule(name="Second", first_month=date(2026, 7, 1))
    plan_deliveries(as_of=DUE)

    deliver_due(as_of=DUE)

    found = sorted(Path(tmp_path / "mail").iterdir())
    assert [path.suffix for path in found] == [".eml", ".eml"]
    for path in found:
        raw = path.read_bytes()
        assert raw.count(b"\n") == raw.count(b"\r\n")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert message["Subject"].startswith("Restore report 2026-07")
        assert attachment_of(message)[1] == PDF
        assert message.defects == []


def test_a_mail_folder_that_is_gone_is_a_failure_that_names_it(settings, tmp_path) -> None:
    folder = tmp_path / "mail"
    connection = EmlBackend(file_path=str(folder))
    folder.rmdir()

    with pytest.raises(FileNotFoundError) as failure:
        connection.send_messages([EmailMessage("x", "y", to=["a@example.test"])])

    assert mail._in_plain_words(failure.value).startswith(str(folder))


def test_an_smtp_backend_that_was_not_opened_says_so() -> None:
    with pytest.raises(RuntimeError, match="opens the connection"):
        SmtpBackend()._send(EmailMessage("x", "y", "from@example.test", ["to@example.test"]))


def test_a_line_break_in_a_foreign_text_forges_no_header(mailbox) -> None:
    make_schedule(first_month=date(2026, 7, 1), organisation="Example\r\nBcc: evil@example.test")
    plan_deliveries(as_of=DUE)

    deliver_due(as_of=DUE)

    assert mailbox.last()["Bcc"] is None
    assert "ExampleU+000DU+000ABcc" in mailbox.last()["Subject"]
