"""Failures of Enterprise Manager or the way to it, as a cause and a remedy that a person understands."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from restorereports.em import failures


@dataclass(frozen=True, slots=True)
class PlainWords:
    """`kind` is stable and short; `cause` and `remedy` are one sentence each, in the active language."""

    kind: str
    cause: str
    remedy: str


def in_plain_words(failure: failures.EnterpriseManagerError) -> PlainWords:
    """Every failure has words; the technical text is kept where it adds something."""
    kind, cause, remedy = _words(failure)
    return PlainWords(kind, cause, remedy)


def _words(failure: failures.EnterpriseManagerError) -> tuple[str, str, str]:
    match failure:
        case failures.Unreachable():
            return _unreachable(failure)
        case failures.CertificateChanged():
            return (
                "certificate_changed",
                _("The certificate is not the pinned one, so nothing was sent."),
                _(
                    "Compare the new fingerprint with the server itself, then pin it on the Enterprise Manager's page."
                ),
            )
        case failures.TrustError():
            return (
                "certificate_untrusted",
                str(failure),
                _(
                    "Give the CA certificate that signed it, or pin its fingerprint after comparing it with the server."
                ),
            )
        case failures.LogonRefused():
            return (
                "logon_refused",
                _("The log-on was refused."),
                _(
                    "Check user name, password and that the account has a role in Enterprise Manager. It is not tried "
                    "again until the credentials change or someone presses “Try again”, so that the account is not locked."
                ),
            )
        case failures.LogonLost():
            return (
                "logon_lost",
                _("Enterprise Manager ended the log-on twice in a row."),
                _(
                    "Look whether its service restarts or something between changes the requests; the next sync tries again."
                ),
            )
        case failures.Forbidden():
            return (
                "forbidden",
                _("The role of this account may not read restore sessions by query."),
                _("Give the account the role Portal User with the full restore scope."),
            )
        case failures.NotEnterpriseManager() | failures.InvalidUrl():
            return (
                "not_enterprise_manager",
                _("No Enterprise Manager answers at this address: %(why)s") % {"why": failure},
                _(
                    "Its REST API listens on port 9398 unless set up otherwise; 9443 is the web page, 9419 a backup server."
                ),
            )
        case failures.ServerFailing():
            return (
                "server_failing",
                _("Enterprise Manager answers with error %(status)d.") % {"status": failure.status},
                _("Look at its service and its log; the next sync tries again."),
            )
        case failures.UnexpectedAnswer():
            return (
                "unexpected_answer",
                _("An answer of Enterprise Manager could not be used: %(why)s") % {"why": failure},
                _(
                    "If it stays so, look for a proxy in between and send us this text; nothing was changed by it."
                ),
            )
        case _:
            return "failed", str(failure), _("The next sync tries again.")


def _unreachable(failure: failures.Unreachable) -> tuple[str, str, str]:
    kinds = {
        "resolve": (
            _("The host name is not known to this machine's DNS."),
            _("Check the name, or use the address."),
        ),
        "connect": (
            _("Nothing accepts connections there."),
            _("Check host and port (9398), the service and firewalls."),
        ),
        "timeout": (
            _("There was no answer in time."),
            _("Check firewalls and the load of Enterprise Manager."),
        ),
        "reset": (
            _("The connection broke off."),
            _("Look at the network between; the next sync tries again."),
        ),
    }
    cause, remedy = kinds.get(failure.kind, (str(failure), _("The next sync tries again.")))
    return f"unreachable_{failure.kind}", cause, remedy
