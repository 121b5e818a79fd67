"""Who may see what: every address x every role x one's own and a foreign object, as one table.

The addresses come from the resolver: one that the table does not name fails. What a scoped person is answered is read
to the last byte for the mark that all foreign things bear, and for the numbers that only they add up to.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from pypdf import PdfReader

from restorereports import audit
from restorereports.models import ApiToken, Report, RestoreSession, RestoreSessionScope, User
from restorereports.reports.files import path_of
from restorereports.reports.mail import message_of
from restorereports.reports.render import render_report
from restorereports.reports.request import request_report
from restorereports.sign_in.tokens import make_token
from tests.factories import make_enterprise_manager, make_schedule, make_user
from tests.granted_world import MARK, SCOPED_ROLES, World, leaks_in, make_world

pytestmark = pytest.mark.django_db

ROLES = tuple(User.Role)
UNKNOWN = 987654321  # an id that nobody has
ALL = frozenset(ROLES)
REPORTERS = ALL - {User.Role.VIEWER}
NOTERS = frozenset({User.Role.OPERATOR, User.Role.ADMINISTRATOR})
POLICY_OWNERS = frozenset({User.Role.POLICY_OWNER, User.Role.ADMINISTRATOR})
TRAIL = frozenset({User.Role.AUDITOR, User.Role.ADMINISTRATOR})
ADMINISTRATORS = frozenset({User.Role.ADMINISTRATOR})
SHOWN = frozenset({200})
DONE = frozenset({200, 302})

Arguments = Callable[[World], tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Address:
    """One line of the table. `own` and `foreign` give the arguments; without `foreign` it names no object.

    `shared`: an Enterprise Manager of which a scoped person sees a part; what is answered for it then.
    """

    roles: frozenset[User.Role] = ALL
    method: str = "get"
    answers: frozenset[int] = SHOWN
    own: Arguments = lambda world: ()
    foreign: Arguments | None = None
    shared: tuple[Arguments, int] | None = None
    data: dict[str, str] = field(default_factory=dict)
    queries: tuple[str, ...] = ("",)
    sign_in: bool = True
    personal: bool = False  # nobody else's, whatever one may see
    whole: bool = False  # only for who sees everything: 403 for all others, 404 where `unknown`
    unknown: bool = False
    marked: bool = False  # whether who sees everything is shown the mark here: the control of the leak check


SORTS = ("started_at", "outcome", "vm_name", "job_type", "duration_ms", "ended_at")
LIST_QUERIES = (
    "?period=all",
    *(f"?period=all&sort={sign}{name}" for name in SORTS for sign in ("", "-")),
    "?period=all&rows=100",
    "?period=all&vm=files",
    "?period=all&vm=ZZFOREIGN",
    "?period=all&vm_exact=ZZFOREIGN-files",
    "?period=all&outcome=Failed&outcome=Running",
    "?vm=nothing-of-that-name",
)
ADMINISTER: dict[str, Any] = {"roles": ADMINISTRATORS}
OWN_POLICIES: dict[str, Any] = {"roles": POLICY_OWNERS, "whole": True}
POST: dict[str, Any] = {"method": "post", "answers": DONE}

TABLE: dict[str, Address] = {
    # restore sessions
    "restoresession-list": Address(queries=LIST_QUERIES, marked=True),
    "restoresession-csv": Address(queries=LIST_QUERIES[:1], marked=True),
    "restoresession-pdf": Address(roles=REPORTERS, **POST, queries=LIST_QUERIES[:1]),
    "restoresession-detail": Address(
        own=lambda w: (w.own.row.pk,),
        foreign=lambda w: (w.foreign.row.pk,),
        shared=(lambda w: (w.shared_foreign_row.pk,), 404),
        marked=True,
    ),
    "restoresession-class": Address(
        roles=NOTERS,
        **POST,
        data={"session_class": "real", "reason": "A drill it was not."},
        own=lambda w: (w.own.row.pk,),
        foreign=lambda w: (w.foreign.row.pk,),
        shared=(lambda w: (w.shared_foreign_row.pk,), 404),
    ),
    "restoresession-note": Address(
        roles=NOTERS,
        **POST,
        data={"text": "I looked at it."},
        own=lambda w: (w.own.row.pk,),
        foreign=lambda w: (w.foreign.row.pk,),
        shared=(lambda w: (w.shared_foreign_row.pk,), 404),
    ),
    # policies, what they make of the VMs, classes
    "vm-detail": Address(
        own=lambda w: (w.own.vm.pk,),
        foreign=lambda w: (w.foreign.vm.pk,),
        shared=(lambda w: (w.shared_foreign_row.virtual_machine_id,), 404),
        marked=True,
    ),
    "coverage": Address(queries=("", "?verdict=exempt", "?tier=Tier+2", "?vm=ZZFOREIGN"), marked=True),
    "coverage-csv": Address(queries=("", "?verdict=exempt"), marked=True),
    "coverage-history": Address(),
    "policy-list": Address(),
    "policy-detail": Address(own=lambda w: (w.policy.policy_id,), marked=True),
    "policy-machines": Address(whole=True, unknown=True, own=lambda w: (w.policy.policy_id,), marked=True),
    "policy-add": Address(**OWN_POLICIES, queries=("?preset=90", "?preset=nothing")),
    "policy-edit": Address(**OWN_POLICIES, own=lambda w: (w.policy.policy_id,), marked=True),
    "policy-preview": Address(**OWN_POLICIES, answers=DONE),
    "policy-retire": Address(**OWN_POLICIES, **POST, own=lambda w: (w.policy.policy_id,)),
    "policy-reopen": Address(**OWN_POLICIES, **POST, own=lambda w: (w.retired.pk,)),
    "exemption-add": Address(**OWN_POLICIES, own=lambda w: (w.policy.policy_id,)),
    "exemption-withdraw": Address(
        **OWN_POLICIES, **POST, own=lambda w: (w.policy.policy_id, w.own.exemption.pk)
    ),
    "class-rules": Address(**OWN_POLICIES, marked=True),
    "class-rules-run": Address(**OWN_POLICIES, queries=("?since=2026-01-01",)),
    "search": Address(answers=DONE, queries=("?q=own-files", "?q=ZZFOREIGN-files")),
    # reports
    "report-list": Address(roles=REPORTERS, marked=True),
    "report-add": Address(roles=REPORTERS, marked=True),
    "report-detail": Address(
        roles=REPORTERS, own=lambda w: (w.own.report.pk,), foreign=lambda w: (w.foreign.report.pk,)
    ),
    "report-file": Address(
        roles=REPORTERS, own=lambda w: (w.own.report.pk,), foreign=lambda w: (w.foreign.report.pk,)
    ),
    "report-final": Address(
        roles=REPORTERS,
        **POST | {"answers": frozenset({302, 400})},
        own=lambda w: (w.own.report.pk,),
        foreign=lambda w: (w.foreign.report.pk,),
    ),
    # evidence
    "evidence-list": Address(roles=REPORTERS, marked=True),
    "evidence-verify": Address(roles=REPORTERS),
    **{
        f"evidence-{act}": Address(
            **ADMINISTER,
            **POST | {"answers": frozenset({302, 400})},
            data={"reason": "A case."},
            own=lambda w: (w.own.report.pk,),
            foreign=lambda w: (w.foreign.report.pk,),
        )
        for act in ("hold", "release", "delete")
    },
    "reportschedule-add": Address(**ADMINISTER, marked=True),
    "reportschedule-edit": Address(
        **ADMINISTER, own=lambda w: (w.own.schedule.pk,), foreign=lambda w: (w.foreign.schedule.pk,)
    ),
    "delivery-resend": Address(
        **ADMINISTER, **POST, own=lambda w: (w.own.delivery.pk,), foreign=lambda w: (w.foreign.delivery.pk,)
    ),
    # Enterprise Managers
    "enterprisemanager-list": Address(marked=True),
    "enterprisemanager-detail": Address(
        own=lambda w: (w.own.em.pk,),
        foreign=lambda w: (w.foreign.em.pk,),
        shared=(lambda w: (w.shared.pk,), 200),
        marked=True,
    ),
    "enterprisemanager-progress": Address(
        own=lambda w: (w.own.em.pk,),
        foreign=lambda w: (w.foreign.em.pk,),
        shared=(lambda w: (w.shared.pk,), 404),
    ),
    "enterprisemanager-explain": Address(
        roles=NOTERS,
        **POST,
        data={"text": "The cable was out."},
        own=lambda w: (w.own.em.pk, w.own.gap.pk),
        foreign=lambda w: (w.foreign.em.pk, w.foreign.gap.pk),
        shared=(lambda w: (w.shared.pk, w.shared_gap.pk), 404),
    ),
    **{
        f"enterprisemanager-{act}": Address(
            **ADMINISTER, **POST, own=lambda w: (w.own.em.pk,), foreign=lambda w: (w.foreign.em.pk,)
        )
        for act in ("sync", "resume", "pin")
    },
    "enterprisemanager-test": Address(
        **ADMINISTER, **POST, own=lambda w: (w.own.em.pk,), foreign=lambda w: (w.foreign.em.pk,)
    ),
    "enterprisemanager-edit": Address(
        **ADMINISTER, own=lambda w: (w.own.em.pk,), foreign=lambda w: (w.foreign.em.pk,)
    ),
    "enterprisemanager-add": Address(**ADMINISTER),
    "enterprisemanager-add-test": Address(**ADMINISTER, answers=DONE),
    "enterprisemanager-save": Address(**ADMINISTER, **POST),
    # people and groups
    "person-list": Address(**ADMINISTER, marked=True),
    "person-add": Address(**ADMINISTER, marked=True),
    "person-edit": Address(
        **ADMINISTER, own=lambda w: (w.own.person.pk,), foreign=lambda w: (w.foreign.person.pk,)
    ),
    "person-link": Address(
        **ADMINISTER, **POST, own=lambda w: (w.own.person.pk,), foreign=lambda w: (w.foreign.person.pk,)
    ),
    "group-list": Address(**ADMINISTER),
    "group-add": Address(**ADMINISTER, marked=True),
    "group-edit": Address(**ADMINISTER, own=lambda w: (w.group.pk,)),
    "group-delete": Address(**ADMINISTER, own=lambda w: (w.group.pk,)),
    # the audit trail
    "audit-list": Address(roles=TRAIL, queries=("", "?action=em_changed", "?object=ZZFOREIGN"), marked=True),
    "audit-csv": Address(roles=TRAIL, marked=True),
    # one's own
    "account": Address(),
    "log-out-everywhere": Address(**POST),
    "second-factor": Address(answers=DONE),
    "second-factor-remove": Address(answers=DONE),
    "recovery-codes": Address(answers=DONE),
    "api-token-list": Address(),
    "api-token-revoke": Address(
        **POST, own=lambda w: (w.token.pk,), foreign=lambda w: (w.foreign_token.pk,), personal=True
    ),
    "logout": Address(**POST),
    # without a log-in
    "login": Address(sign_in=False, answers=DONE),
    "login-code": Address(sign_in=False, answers=DONE),
    "login-openid": Address(sign_in=False, answers=frozenset({302, 404, 405})),
    "login-openid-callback": Address(sign_in=False, answers=frozenset({302, 400, 404})),
    "link": Address(sign_in=False, own=lambda w: (w.own.person.pk, "nothing"), answers=frozenset({404, 410})),
    "welcome": Address(sign_in=False, own=lambda w: ("nothing",), answers=frozenset({404})),
    "healthz": Address(sign_in=False),
    "metrics": Address(sign_in=False, answers=frozenset({404})),
}
API: dict[str, Address] = {
    "api:openapi": Address(),
    "api:list_restore_sessions": Address(
        queries=(
            "",
            "?order=started_at",
            "?order=-started_at",
            "?vm=files",
            "?vm_exact=ZZFOREIGN-files",
            "?limit=1",
        ),
        marked=True,
    ),
    "api:count_restore_sessions": Address(queries=("", "?outcome=Failed")),
    "api:get_restore_session": Address(
        own=lambda w: (w.own.row.pk,),
        foreign=lambda w: (w.foreign.row.pk,),
        shared=(lambda w: (w.shared_foreign_row.pk,), 404),
        marked=True,
    ),
    "api:list_backup_servers": Address(marked=True),
    "api:list_virtual_machines": Address(queries=("", "?name=files"), marked=True),
    "api:list_policies": Address(),
    "api:get_coverage": Address(
        own=lambda w: (w.policy.policy_id,), queries=("", "?verdict=exempt", "?limit=1"), marked=True
    ),
    "api:list_enterprise_managers": Address(marked=True),
    "api:get_enterprise_manager": Address(
        own=lambda w: (w.own.em.pk,),
        foreign=lambda w: (w.foreign.em.pk,),
        shared=(lambda w: (w.shared.pk,), 200),
        marked=True,
    ),
    "api:list_reports": Address(roles=REPORTERS, marked=True),
    "api:get_report": Address(
        roles=REPORTERS, own=lambda w: (w.own.report.pk,), foreign=lambda w: (w.foreign.report.pk,)
    ),
    "api:get_report_file": Address(
        roles=REPORTERS, own=lambda w: (w.own.report.pk,), foreign=lambda w: (w.foreign.report.pk,)
    ),
    "api:api-root": Address(answers=frozenset({404})),
    "api:nothing": Address(own=lambda w: ("nothing",), answers=frozenset({404})),
}


@dataclass(frozen=True, slots=True)
class Case:
    """What one request must be answered with."""

    name: str
    arguments: tuple[Any, ...]
    query: str
    expected: frozenset[int]


class Furnished:
    """The world, and what else the table names: a group, and tokens of the person who asks and of another one."""

    def __init__(self, person: User) -> None:
        from restorereports.models import GroupRule

        self.world = make_world()
        self.person = person
        self.group = GroupRule.objects.create(group="auditors", role=User.Role.AUDITOR)
        self.token, self.token_text = _token(person)
        self.foreign_token, _text = _token(self.world.foreign.person)
        actor = audit.Actor(person=self.world.foreign.person, via=audit.Via.WEB)
        audit.record(audit.Action.EM_CHANGED, actor, of=self.world.foreign.em, details={"why": "ZZFOREIGN"})
        audit.record(audit.Action.REPORT_REQUESTED, actor, of=self.world.foreign.report)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)


def _token(person: User) -> tuple[ApiToken, str]:
    at = timezone.now()
    scopes = ApiToken.Scope.values
    return make_token(
        person,
        name="ZZFOREIGN token" if person.username.startswith("ZZ") else "token",
        scopes=scopes,
        expires_at=at + timedelta(days=1),
        actor=audit.Actor(person=person),
        at=at,
    )


def _names(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from _names(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            yield f"{prefix}{pattern.name}"


def _cases(
    furnished: Furnished, role: User.Role, table: dict[str, Address], *, refused: int
) -> Iterator[Case]:
    everything = furnished.person.granted.everything
    for name, address in table.items():
        allowed = role in address.roles or not address.sign_in
        answers = address.answers if allowed else frozenset({refused})
        if allowed and address.whole and not everything:
            answers = frozenset({404 if address.unknown else refused})
        for query in address.queries:
            yield Case(name, address.own(furnished), query, answers)
        if address.foreign:
            seen = everything and not address.personal
            foreign = answers if seen or not allowed else frozenset({404})
            yield Case(name, address.foreign(furnished), "", foreign)
        if address.shared:
            arguments, status = address.shared
            shared = answers if everything or not allowed else frozenset({status})
            yield Case(name, arguments(furnished), "", shared)


def _ask(client: Client, case: Case, address: Address) -> tuple[int, str]:
    """The status and everything that came with it, as text. What the request changed is undone."""
    url = reverse(case.name, args=case.arguments) + case.query
    cookies = client.cookies.copy()
    with transaction.atomic():
        response: Any = getattr(client, address.method)(url, address.data)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        transaction.set_rollback(True)
    client.cookies = cookies
    if response.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    asked = (case.query, case.query.removeprefix("?").split("=")[-1])
    text = f"{headers}\n{body.decode('utf-8', 'replace')}"
    return response.status_code, _without(text, asked) if "ZZFOREIGN" in case.query else text


def _without(text: str, asked: tuple[str, ...]) -> str:
    """What somebody typed himself comes back in form and address; that tells him nothing."""
    for words in asked:
        text = text.replace(words.removeprefix("?"), "").replace(
            words.removeprefix("?").replace("&", "&amp;"), ""
        )
    return text


def _wrong(
    furnished: Furnished, client: Client, role: User.Role, table: dict[str, Address], *, refused: int
) -> list[str]:
    wrong = []
    marked: dict[str, bool] = {}
    for case in _cases(furnished, role, table, refused=refused):
        status, text = _ask(client, case, table[case.name])
        if status not in case.expected:
            wrong.append(f"{case.name}{case.arguments}{case.query}: {status}, not {sorted(case.expected)}")
        if not furnished.person.granted.everything and (found := leaks_in(text)):
            at = text.casefold().index(found[0])
            wrong.append(
                f"{case.name}{case.arguments}{case.query} shows {found}: …{text[max(at - 80, 0) : at + 80]}…"
            )
        marked[case.name] = marked.get(case.name, False) or MARK in text.casefold()
    if furnished.person.granted.everything:
        wrong += [
            f"{name} shows nobody the mark, so that no leak could be found here"
            for name, address in table.items()
            if address.marked and role in address.roles and not marked[name]
        ]
    return wrong


def test_the_table_names_every_address() -> None:
    assert set(_names(get_resolver().url_patterns)) == {*TABLE, *API}


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_each_page_shows_each_role_what_it_may_see(
    role: User.Role, everything: bool, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restorereports.web.views.enterprise_manager.check_enterprise_manager", lambda em: [])
    furnished = _furnished(role, everything=everything)
    client.force_login(furnished.person)

    assert _wrong(furnished, client, role, TABLE, refused=403) == []


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_the_api_shows_each_role_what_it_may_see(role: User.Role, everything: bool) -> None:
    furnished = _furnished(role, everything=everything)
    client = Client(headers={"authorization": f"Bearer {furnished.token_text}"})

    assert _wrong(furnished, client, role, API, refused=403) == []


def _furnished(role: User.Role, *, everything: bool) -> Furnished:
    person = make_user(role, username="asking", everything=False)
    furnished = Furnished(person)
    scoped = furnished.world.scoped(role, username="pattern")
    if everything:
        make = make_user(role, username="all")
        make.grants.update(user=person)
    else:
        scoped.grants.update(user=person)
    furnished.person = User.objects.get(pk=person.pk)
    return furnished


def test_nobody_sees_a_page_without_a_log_in(client: Client) -> None:
    furnished = _furnished(User.Role.VIEWER, everything=False)
    open_ones = []

    for name, address in TABLE.items():
        for arguments in filter(None, (address.own, address.foreign)):
            status, text = _ask(client, Case(name, arguments(furnished), "", frozenset()), address)
            if address.sign_in and (status != 302 or "/login/" not in text):
                open_ones.append((name, status))
    for name, address in API.items():
        status, text = _ask(client, Case(name, address.own(furnished), "", frozenset()), address)
        if status != 401 or leaks_in(text):
            open_ones.append((name, status))

    assert open_ones == []


def _same(text: str) -> str:
    """An answer without what differs between two requests anyway: tokens against forgery, and how long it is."""
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)
    return re.sub(r"csrftoken=[^;]+|[Ee]xpires[:=][^;\n]+|Content-Length: \d+", "", text)


@pytest.mark.parametrize("role", SCOPED_ROLES)
def test_a_foreign_id_is_answered_as_one_that_nobody_has(role: User.Role, client: Client) -> None:
    furnished = _furnished(role, everything=False)
    client.force_login(furnished.person)
    api = Client(headers={"authorization": f"Bearer {furnished.token_text}"})
    told_apart = []

    for name, address in (TABLE | API).items():
        if not address.foreign:
            continue
        asking = api if name in API else client
        foreign = address.foreign(furnished)
        nobody = (UNKNOWN, *foreign[1:])
        answers = [
            (status, _same(text.replace(str(UNKNOWN), str(foreign[0]))))
            for arguments in (foreign, nobody)
            for status, text in [_ask(asking, Case(name, arguments, "", frozenset()), address)]
        ]
        if answers[0] != answers[1]:
            told_apart.append(name)
    for name, arguments, data in (
        (
            "report-add",
            (),
            {"period": "2026-07", "zone": "UTC", "backup_servers": furnished.foreign.server.pk},
        ),
        (
            "report-add",
            (),
            {"period": "2026-07", "zone": "UTC", "enterprise_managers": furnished.foreign.em.pk},
        ),
        ("enterprisemanager-explain", (furnished.own.em.pk, furnished.foreign.gap.pk), {"text": "words"}),
    ):
        if role not in TABLE[name].roles:
            continue
        pk = next(
            (value for value in data.values() if isinstance(value, int)), arguments[-1] if arguments else 0
        )
        answers = []
        for asked in (pk, UNKNOWN):
            sent = {key: asked if value == pk else value for key, value in data.items()}
            case = Case(name, tuple(asked if one == pk else one for one in arguments), "", frozenset())
            status, text = _ask(client, case, replace(TABLE[name], method="post", data=sent))
            answers.append((status, _same(text.replace(str(UNKNOWN), str(pk)))))
        if answers[0] != answers[1] or answers[0][0] < 200:
            told_apart.append(f"{name} {data}")
    for field_name, pk in (
        ("backup_server", furnished.foreign.server.pk),
        ("enterprise_manager", furnished.foreign.em.pk),
    ):
        for name, asking in (
            ("restoresession-list", client),
            ("restoresession-csv", client),
            ("api:list_restore_sessions", api),
            ("api:count_restore_sessions", api),
        ):
            answers = [
                (status, _same(text.replace(str(UNKNOWN), str(pk))))
                for asked in (pk, UNKNOWN)
                for status, text in [
                    _ask(asking, Case(name, (), f"?{field_name}={asked}", frozenset()), (TABLE | API)[name])
                ]
            ]
            if answers[0] != answers[1]:
                told_apart.append(f"{name}?{field_name}")

    assert told_apart == []


@pytest.mark.parametrize("role", sorted(set(SCOPED_ROLES) - {User.Role.VIEWER}))
def test_a_report_of_a_scoped_person_holds_what_was_granted_and_says_so(
    role: User.Role, settings: Any, tmp_path: Any
) -> None:
    furnished = _furnished(role, everything=False)
    now = timezone.now()
    report = request_report(
        scope=RestoreSessionScope(start=now - timedelta(days=30), end=now),
        zone="UTC",
        organisation="",
        requested_by=furnished.person,
        at=now,
    )

    render_report(report.pk, as_of=now)

    report.refresh_from_db()
    text = _text_of(report)
    assert report.rows == RestoreSession.objects.visible_to(furnished.person).count() == 4
    assert leaks_in(text) == []
    assert "Only what was granted" in text
    assert "own-vbr" in text
    assert "part-vbr" in text
    assert not Report.objects.visible_to(furnished.world.own.person).filter(pk=report.pk)


def test_the_report_of_a_schedule_and_its_mail_hold_what_it_names() -> None:
    world = make_world()
    now = timezone.now()
    report = request_report(
        scope=RestoreSessionScope(
            start=now - timedelta(days=30), end=now, enterprise_managers=(world.own.em.pk,)
        ),
        zone="UTC",
        organisation="",
        requested_by=None,
        at=now,
        schedule=world.own.schedule,
    )

    render_report(report.pk, as_of=now)

    report.refresh_from_db()
    mail = message_of(world.own.delivery, report, as_of=now)
    html = str(mail.alternatives[0][0])
    assert report.rows == 3
    assert leaks_in(_text_of(report)) == []
    assert leaks_in(f"{mail.subject}\n{mail.body}\n{html}\n{mail.to}") == []
    assert Report.objects.visible_to(world.own.person).filter(pk=report.pk).exists()
    assert not Report.objects.visible_to(world.foreign.person).filter(pk=report.pk).exists()


def test_a_grant_that_was_withdrawn_before_the_figures_were_taken_leaves_nothing_in_the_report() -> None:
    furnished = _furnished(User.Role.AUDITOR, everything=False)
    now = timezone.now()
    report = request_report(
        scope=RestoreSessionScope(start=now - timedelta(days=30), end=now),
        zone="UTC",
        organisation="",
        requested_by=furnished.person,
        at=now,
    )
    furnished.person.grants.filter(enterprise_manager=furnished.own.em).delete()

    render_report(report.pk, as_of=now)

    report.refresh_from_db()
    assert report.rows == 1
    assert "own-" not in _text_of(report)


def _asked_by(person: User, **scope: Any) -> Report:
    """A report that is made at once."""
    now = timezone.now()
    asked = RestoreSessionScope(start=now - timedelta(days=30), end=now, **scope)
    report = request_report(scope=asked, zone="UTC", organisation="", requested_by=person, at=now)
    render_report(report.pk, as_of=now)
    report.refresh_from_db()
    assert report.status == Report.Status.READY, report.error
    return report


def _shown(report: Report, person: User) -> str:
    """The report's page, the list of reports and the PDF, as this person sees them."""
    client = Client()
    client.force_login(person)
    pages = [
        client.get(reverse(name, args=args))
        for name, args in (("report-detail", (report.pk,)), ("report-list", ()))
    ]
    assert [page.status_code for page in pages] == [200, 200]
    return _text_of(report) + "".join(page.content.decode() for page in pages)


def test_a_report_that_covers_a_part_holds_nothing_of_what_else_its_requester_sees() -> None:
    world = make_world()
    wide = {
        "the whole Enterprise Manager": make_user(User.Role.AUDITOR, world.shared),
        "another backup server": make_user(User.Role.AUDITOR, world.part, world.foreign.server),
        "another Enterprise Manager": make_user(User.Role.AUDITOR, world.shared, world.foreign.em),
    }
    reader = make_user(User.Role.AUDITOR, world.part, username="narrow")
    scopes = {
        "the whole Enterprise Manager": {"backup_servers": (world.part.pk,)},
        "another backup server": {"backup_servers": (world.part.pk,)},
        "another Enterprise Manager": {
            "backup_servers": (world.part.pk,),
            "enterprise_managers": (world.shared.pk, world.foreign.em.pk),
        },
    }

    for what, person in wide.items():
        report = _asked_by(person, **scopes[what])

        assert report.rows == 1, what
        assert leaks_in(_shown(report, reader)) == [], what
        assert "ZZFOREIGN words" not in _text_of(report), what


def test_figures_over_all_backup_servers_are_for_those_who_see_all_of_them() -> None:
    world = make_world()
    report = _asked_by(make_user(User.Role.AUDITOR, world.shared), enterprise_managers=(world.shared.pk,))

    assert "73,737" in _text_of(report)
    assert not Report.objects.visible_to(make_user(User.Role.AUDITOR, world.part)).filter(pk=report.pk)
    other = make_user(User.Role.AUDITOR, world.part, world.shared)
    assert Report.objects.visible_to(other).filter(pk=report.pk)


def test_a_report_that_covers_nothing_is_nobodys_but_its_requesters() -> None:
    world = make_world()
    fresh = make_enterprise_manager(name="ZZFOREIGN-fresh-em")
    requester = make_user(User.Role.AUDITOR, fresh, world.own.server)
    reports = [
        _asked_by(requester, enterprise_managers=(fresh.pk,), vm="ZZFOREIGN-typed"),
        _asked_by(requester, enterprise_managers=(fresh.pk,), backup_servers=(world.own.server.pk,)),
    ]
    schedule = make_schedule(name="ZZFOREIGN-fresh")
    schedule.enterprise_managers.add(fresh)
    now = timezone.now()
    scope = RestoreSessionScope(start=now - timedelta(days=30), end=now, enterprise_managers=(fresh.pk,))
    planned = request_report(
        scope=scope, zone="UTC", organisation="", requested_by=None, at=now, schedule=schedule
    )
    render_report(planned.pk, as_of=now)
    stranger = world.scoped(User.Role.AUDITOR)
    client = Client()
    client.force_login(stranger)

    listed = client.get(reverse("report-list")).content.decode()

    assert leaks_in(listed) == []
    for report in (*reports, planned):
        assert not Report.objects.visible_to(stranger).filter(pk=report.pk)
        assert client.get(reverse("report-detail", args=[report.pk])).status_code == 404
    for report in reports:
        assert Report.objects.visible_to(requester).filter(pk=report.pk)


def test_a_schedule_that_one_does_not_know_has_no_name() -> None:
    world = make_world()
    report = Report.objects.get(pk=world.own.report.pk)
    report.requested_by = None
    report.save()
    client = Client()
    client.force_login(make_user(User.Role.AUDITOR, world.own.server))

    page = client.get(reverse("report-detail", args=[report.pk])).content.decode()

    assert "a schedule" in page
    assert "own-schedule" not in page


def _text_of(report: Report) -> str:
    pages = PdfReader(io.BytesIO(path_of(report).read_bytes())).pages
    return "\n".join(page.extract_text() for page in pages)
