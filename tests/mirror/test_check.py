"""The connection test, and that every failure has plain words."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from restorereports.em import failures
from restorereports.emulator.accounts import Account
from restorereports.mirror.address import normalise_url
from restorereports.mirror.certificate import certificate_facts, normalise_fingerprint, validate_ca_pem
from restorereports.mirror.check import check_enterprise_manager
from restorereports.mirror.plain_words import in_plain_words
from restorereports.models import EnterpriseManager


def test_all_steps_of_a_good_connection(em, world) -> None:
    world.add_session(vm_name="payroll-db2")

    steps = list(check_enterprise_manager(em))

    assert [step.key for step in steps] == [
        "resolve",
        "connect",
        "tls",
        "api_versions",
        "logon",
        "role",
        "restore_session",
        "clock_skew",
    ]
    assert all(step.ok and step.label and step.finding for step in steps)
    assert em.pin_sha256 in steps[2].finding
    assert "Portal User" in steps[5].finding
    assert "payroll-db2" in steps[6].finding


def test_no_restore_session_yet_is_no_failure(em) -> None:
    steps = list(check_enterprise_manager(em))

    assert "lists no restore session" in steps[6].finding


def test_an_untrusted_certificate_is_shown_to_be_pinned(server, add_em) -> None:
    em = add_em(server, pin_sha256="")

    last = list(check_enterprise_manager(em))[-1]

    assert (last.key, last.ok) == ("tls", False)
    assert last.certificate.sha256 == server.fingerprint_sha256
    assert "pin" in last.remedy


def test_a_refused_logon_names_cause_and_remedy(em, server) -> None:
    server.accounts[:] = [Account("mirror", "other", "Portal User")]

    last = list(check_enterprise_manager(em))[-1]

    assert (last.key, last.ok) == ("logon", False)
    assert "refused" in last.cause
    assert "role" in last.remedy


def test_a_clock_far_off_is_said(em, monkeypatch) -> None:
    from restorereports.em.check import Step

    skewed = Step(key="clock_skew", ok=True, facts={"seconds": "3600.0"}, error=None, seconds=0)
    unknown = Step(key="clock_skew", ok=True, facts={"seconds": "unknown"}, error=None, seconds=0)
    monkeypatch.setattr("restorereports.mirror.check.check_connection", lambda _c: iter([skewed, unknown]))

    steps = list(check_enterprise_manager(em))

    assert "more than a minute" in steps[0].finding
    assert "sends no time" in steps[1].finding


def test_plain_http_on_loopback_is_named_as_such(em, monkeypatch) -> None:
    from restorereports.em.check import Step

    step = Step(key="tls", ok=True, facts={"encrypted": "no"}, error=None, seconds=0)
    monkeypatch.setattr("restorereports.mirror.check.check_connection", lambda _c: iter([step]))

    assert "not encrypted" in next(check_enterprise_manager(em)).finding


def test_settings_that_cannot_be_used_are_a_step_of_their_own(db) -> None:
    unreadable = EnterpriseManager(name="em", url="https://127.0.0.1:9", username="u", password_token="x")
    broken = EnterpriseManager(name="em", url="https://", username="u")
    broken.set_password("p", at=timezone.now())

    for em in (unreadable, broken):
        [step] = check_enterprise_manager(em)

        assert (step.key, step.ok) == ("settings", False)
        assert step.cause


@pytest.mark.parametrize(
    "failure",
    [
        failures.Unreachable("x", kind="resolve"),
        failures.Unreachable("x", kind="connect"),
        failures.Unreachable("x", kind="timeout"),
        failures.Unreachable("x", kind="reset"),
        failures.Unreachable("x", kind="of a new kind"),
        failures.CertificateChanged("x"),
        failures.CertificateUntrusted("x"),
        failures.LogonRefused("x"),
        failures.LogonLost("x"),
        failures.Forbidden("x"),
        failures.NotEnterpriseManager("x"),
        failures.InvalidUrl("x"),
        failures.UnexpectedAnswer("x"),
        failures.ServerFailing("x", status=503),
        failures.EnterpriseManagerError("x"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_every_failure_has_a_cause_and_a_remedy(failure) -> None:
    words = in_plain_words(failure)

    assert words.kind
    assert words.cause
    assert words.remedy.endswith(".")


def test_addresses_fingerprints_and_cas_are_refused_with_a_sentence(server) -> None:
    assert normalise_url("em.example.test/api") == "https://em.example.test:9398"
    assert normalise_fingerprint("AB:" * 31 + "AB") == "ab" * 32
    assert certificate_facts(server.certificate_pem).sha256 == server.fingerprint_sha256
    validate_ca_pem(server.certificate_pem)

    for refuse in (
        lambda: normalise_url("http://em.example.test"),
        lambda: normalise_fingerprint("abc"),
        lambda: certificate_facts("no certificate"),
        lambda: validate_ca_pem("no certificate"),
    ):
        with pytest.raises(ValidationError):
            refuse()
