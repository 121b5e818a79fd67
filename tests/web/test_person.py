"""People: who is listed, added, changed, refused; and the one-time link that is shown once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from restorereports.models import AuditEntry, Grant, SecondFactor, User
from restorereports.models.account import SYSTEM
from restorereports.sign_in.people import EVERYTHING, NOTHING, Sees, sees_of
from restorereports.web.views import person as views
from tests.factories import make_backup_server, make_enterprise_manager, make_user
from tests.sign_in.test_people import from_provider

LIST, ADD = reverse("person-list"), reverse("person-add")
NEW = "another long pass phrase"
UGLY = ["<script>alert(1)</script>", "=cmd|' /C calc'!A1", "invoice-\u202egnp.exe", "🧪 lab", "y" * 150]


def edit(user: User) -> str:
    return reverse("person-edit", args=[user.pk])


def link_in(page: Any) -> str:
    """The path of the one-time link that the page shows."""
    found = re.findall(r">http://testserver(/link/[^<]+)<", page.content.decode())
    assert len(found) == 1
    return str(found[0])


def actions() -> list[str]:
    return list(AuditEntry.objects.visible_to(SYSTEM).order_by("number").values_list("action", flat=True))


@pytest.mark.parametrize("role", [role for role in User.Role if role != User.Role.ADMINISTRATOR])
def test_nobody_else_sees_or_changes_people(client: Client, db: None, role: str) -> None:
    client.force_login(make_user(role))
    other = make_user()
    before = list(User.objects.order_by("pk").values())

    assert client.get(LIST).status_code == 403
    for address in (ADD, edit(other), reverse("person-edit", args=[0])):
        assert client.get(address).status_code == 403
        assert client.post(address, {"role": "administrator"}).status_code == 403
    assert client.post(reverse("person-link", args=[other.pk])).status_code == 403
    assert reverse("person-list") not in client.get(reverse("restoresession-list")).content.decode()

    assert list(User.objects.order_by("pk").values()) == before


def test_the_list_says_who_may_what_and_sees_what(admin_page: Client, administrator: User) -> None:
    em = make_enterprise_manager(name="em-north")
    make_user(User.Role.OPERATOR, em, make_backup_server(name="vbr-east"), username="c.operator")
    make_user(User.Role.VIEWER, username="d.nothing", everything=False)
    from_provider(make_user(User.Role.AUDITOR, username="e.provider"))
    make_user(User.Role.AUDITOR, username="f.off", is_active=False)
    SecondFactor.objects.create(user=administrator, secret_token="x", confirmed_at=timezone.now())

    html = admin_page.get(LIST).content.decode()

    rows = {
        re.search(r"<bdi>([^<]+)", row).group(1): re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row))  # type: ignore[union-attr]
        for row in html.split("<tbody>")[1].split("<tr>")[1:]
    }
    assert list(rows) == ["b.sample", "c.operator", "d.nothing", "e.provider", "f.off"]
    assert re.search(r"Administrator everything local yes", rows["b.sample"])
    assert re.search(r"Operator em-north with all that it shows vbr-east local no never", rows["c.operator"])
    assert re.search(r"Viewer nothing local", rows["d.nothing"])
    assert re.search(r"Auditor everything identity provider its provider’s", rows["e.provider"])
    assert "Switched off" in rows["f.off"]
    assert 'aria-current="page">People' in html


def test_the_list_is_paged_and_needs_few_queries(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(views, "PEOPLE_SHOWN", 10)
    for number in range(15):
        make_user(username=f"person-{number:02}", everything=True)

    with django_assert_max_num_queries(20):
        first = admin_page.get(LIST).content.decode()
    last = re.findall(r'href="\?after=([^"]+)"', first)[0]
    second = admin_page.get(LIST, {"after": last}).content.decode()

    assert last == "person-08"
    assert "person-08" in first
    assert "person-09" in second
    assert "person-08" not in second
    assert "From the beginning" in second
    assert admin_page.get(LIST, {"after": "\0"}).status_code == 200
    assert "Nobody comes after this name." in admin_page.get(LIST, {"after": "zzz"}).content.decode()


def test_adding_shows_a_link_once_and_asks_for_no_password(admin_page: Client, administrator: User) -> None:
    em = make_enterprise_manager(name="em-north")
    assert 'type="password"' not in admin_page.get(ADD).content.decode()

    page = admin_page.post(
        ADD,
        {
            "username": "c.specimen",
            "first_name": "Carla Specimen",
            "email": "carla@example.test",
            "role": "operator",
            "enterprise_managers": [em.pk],
        },
    )

    path = link_in(page)
    person = User.objects.get(username="c.specimen")
    assert (person.role, person.shown_name, person.email) == (
        "operator",
        "Carla Specimen",
        "carla@example.test",
    )
    assert sees_of(person) == Sees(enterprise_managers=frozenset([em.pk]))
    assert not person.has_usable_password()
    assert "no-store" in page["Cache-Control"]
    assert actions() == ["person_added", "link_made"]
    assert {entry.person for entry in AuditEntry.objects.visible_to(SYSTEM)} == {administrator}
    assert path not in admin_page.get(edit(person)).content.decode()
    answer = Client().post(path, {"new_password1": NEW, "new_password2": NEW})
    assert answer.url == reverse("login")
    person.refresh_from_db()
    assert person.check_password(NEW)


def test_sending_the_form_again_adds_nobody_twice(admin_page: Client) -> None:
    form = {"username": "c.specimen", "role": "viewer", "everything": "on"}
    admin_page.post(ADD, form)

    html = admin_page.post(ADD, form | {"username": "C.Specimen"}).content.decode()

    assert "Somebody has this user name already." in html
    assert User.objects.filter(username__iexact="c.specimen").count() == 1


def test_a_person_without_a_grant_is_said_to_see_nothing(admin_page: Client) -> None:
    page = admin_page.post(ADD, {"username": "c.specimen", "role": "viewer"})
    person = User.objects.get(username="c.specimen")

    assert "This person sees nothing: nothing is granted." in page.content.decode()
    assert "Sees nothing: nothing is granted." in admin_page.get(edit(person)).content.decode()
    saved = admin_page.post(edit(person), {"role": "auditor", "is_active": "on"}, follow=True)
    assert "c.specimen sees nothing: nothing is granted." in saved.content.decode()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"username": ""}, "This field is required"),
        ({"username": "<script>"}, "Enter a valid username"),
        ({"role": "king"}, "king is not one of the available choices"),
        ({"email": "nowhere"}, "Enter a valid email address"),
        ({"enterprise_managers": ["9" * 30]}, "not one of the available choices"),
        ({"backup_servers": ["12345"]}, "not one of the available choices"),
        ({"first_name": "x" * 151}, "at most 150 characters"),
    ],
)
def test_a_wrong_field_adds_nobody(admin_page: Client, wrong: dict[str, Any], why: str) -> None:
    make_enterprise_manager()
    make_backup_server()

    html = admin_page.post(ADD, {"username": "c.specimen", "role": "viewer"} | wrong).content.decode()

    assert why in html
    assert User.objects.count() == 1
    assert actions() == []


def test_changing_role_and_grants_logs_the_person_out(admin_page: Client) -> None:
    server = make_backup_server(name="vbr-east")
    person = make_user(User.Role.AUDITOR)
    browser = Client()
    browser.force_login(person)
    form = {"role": "operator", "is_active": "on", "backup_servers": [server.pk]}

    answer = admin_page.post(edit(person), form)

    assert answer.url == LIST
    person.refresh_from_db()
    assert person.role == "operator"
    assert sees_of(person) == Sees(backup_servers=frozenset([server.pk]))
    assert browser.get(reverse("restoresession-list")).status_code == 302
    assert actions() == ["person_changed", "grants_changed"]


def test_changing_grants_alone_counts_at_once_and_leaves_the_log_in(admin_page: Client) -> None:
    em = make_enterprise_manager(name="em-secret")
    person = make_user(User.Role.AUDITOR)
    browser = Client()
    browser.force_login(person)
    detail = reverse("enterprisemanager-detail", args=[em.pk])
    assert browser.get(detail).status_code == 200

    admin_page.post(edit(person), {"role": "auditor", "is_active": "on"})

    assert browser.get(detail).status_code == 404
    assert actions() == ["grants_changed"]


def test_switching_off_ends_the_log_in_and_on_again_lets_in(admin_page: Client) -> None:
    person = make_user(User.Role.AUDITOR)
    browser = Client()
    browser.force_login(person)

    admin_page.post(edit(person), {"role": "auditor", "everything": "on"})

    person.refresh_from_db()
    assert not person.is_active
    assert sees_of(person) == EVERYTHING
    assert browser.get(reverse("restoresession-list")).status_code == 302
    admin_page.post(edit(person), {"role": "auditor", "everything": "on", "is_active": "on"})
    person.refresh_from_db()
    assert person.is_active


def test_a_new_administrator_needs_no_grant(admin_page: Client) -> None:
    person = make_user(User.Role.AUDITOR)

    admin_page.post(edit(person), {"role": "administrator", "is_active": "on", "everything": "on"})

    assert sees_of(person) == NOTHING
    assert "Sees nothing" not in admin_page.get(edit(person)).content.decode()


@pytest.mark.parametrize("form", [{"role": "auditor", "is_active": "on"}, {"role": "administrator"}])
def test_the_last_administrator_is_told_why_he_stays(
    admin_page: Client, administrator: User, form: dict[str, str]
) -> None:
    User.objects.create(username="new", role="administrator", password=make_password(None))

    html = admin_page.post(edit(administrator), form).content.decode()

    assert "This is the last active administrator with a password of its own." in html
    administrator.refresh_from_db()
    assert administrator.is_administrator
    assert actions() == []


def test_with_another_one_an_administrator_may_go(admin_page: Client, administrator: User) -> None:
    make_user(User.Role.ADMINISTRATOR)

    assert admin_page.post(edit(administrator), {"role": "viewer", "is_active": "on"}).url == LIST

    administrator.refresh_from_db()
    assert administrator.role == "viewer"
    assert not Grant.objects.filter(user=administrator).exists()


def test_of_a_person_from_the_provider_only_the_activity_can_be_changed(admin_page: Client) -> None:
    em = make_enterprise_manager(name="em-north")
    person = from_provider(make_user(User.Role.AUDITOR, em))

    html = admin_page.get(edit(person)).content.decode()
    form = {"role": "administrator", "everything": "on"}
    admin_page.post(edit(person), form)

    assert 'name="role"' not in html
    assert 'name="everything"' not in html
    assert "at each log-in" in html
    assert "em-north" in html
    person.refresh_from_db()
    assert (person.role, person.is_active) == ("auditor", False)
    assert sees_of(person) == Sees(enterprise_managers=frozenset([em.pk]))


def test_a_link_for_who_forgot_the_password(admin_page: Client) -> None:
    person = make_user(User.Role.AUDITOR)
    SecondFactor.objects.create(user=person, secret_token="x", confirmed_at=timezone.now())
    address = reverse("person-link", args=[person.pk])

    link_in(admin_page.post(address))
    assert SecondFactor.objects.exists()
    path = link_in(admin_page.post(address, {"without_second_factor": "on"}))

    assert not SecondFactor.objects.exists()
    assert Client().get(path).status_code == 200
    assert admin_page.get(address).status_code == 405
    assert actions() == ["link_made", "second_factor_changed", "link_made"]


def test_no_link_for_who_cannot_use_one(admin_page: Client) -> None:
    off, stranger = make_user(is_active=False), from_provider(make_user())

    for person, why in ((off, "switched off"), (stranger, "identity provider")):
        page = admin_page.post(reverse("person-link", args=[person.pk]), follow=True)
        assert why in page.content.decode()
        assert "Make a one-time link" not in page.content.decode()

    assert admin_page.post(reverse("person-link", args=[2**70])).status_code == 404
    assert actions() == []


@pytest.mark.parametrize("name", UGLY)
def test_an_ugly_name_is_harmless(admin_page: Client, name: str) -> None:
    """Of the full name; and of a user name that some provider gave."""
    em = make_enterprise_manager(name=name[:100])
    make_backup_server(em, name=name * 7)
    page = admin_page.post(ADD, {"username": "c.specimen", "first_name": name, "role": "viewer"})
    person = User.objects.get(username="c.specimen")
    provided = make_user(User.Role.VIEWER, em, username=name)

    pages = [page, admin_page.get(LIST), admin_page.get(edit(person)), admin_page.get(edit(provided))]
    pages.append(admin_page.post(reverse("person-link", args=[provided.pk])))
    saved = admin_page.post(edit(provided), {"role": "auditor", "is_active": "on"}, follow=True)

    for html in [page.content.decode() for page in [*pages, saved]]:
        assert "<script>alert" not in html
        assert "\u202e" not in html


def test_two_backup_servers_of_one_name_are_told_apart(admin_page: Client) -> None:
    for manager in ("em-north", "em-south"):
        make_backup_server(make_enterprise_manager(name=manager), name="vbr-east")

    html = admin_page.get(ADD).content.decode()

    assert "vbr-east (em-north)" in html
    assert "vbr-east (em-south)" in html
