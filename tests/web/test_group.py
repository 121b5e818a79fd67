"""Groups of the identity provider: what their members become, changed by administrators, on record."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from restorereports.models import AuditEntry, GroupRule, User
from restorereports.models.account import SYSTEM
from tests.factories import make_backup_server, make_enterprise_manager, make_user

LIST, ADD = reverse("group-list"), reverse("group-add")
UGLY = ["<script>alert(1)</script>", "=cmd|' /C calc'!A1", "group-\u202egnp.exe", "🧪 lab", "y" * 255]


def of(rule: GroupRule, act: str = "edit") -> str:
    return reverse(f"group-{act}", args=[rule.pk])


def entries() -> list[dict[str, Any]]:
    trail = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    assert set(trail.values_list("action", flat=True)) <= {"group_changed"}
    return list(trail.values_list("details", flat=True))


def sees(*, everything: bool = False, managers: list[str] | None = None) -> dict[str, Any]:
    return {"everything": everything, "enterprise_managers": managers or [], "backup_servers": []}


@pytest.mark.parametrize("role", [role for role in User.Role if role != User.Role.ADMINISTRATOR])
def test_nobody_else_sees_or_changes_groups(client: Client, db: None, role: str) -> None:
    client.force_login(make_user(role))
    rule = GroupRule.objects.create(group="auditors", role="auditor")

    assert client.get(LIST).status_code == 403
    for address in (ADD, of(rule), of(rule, "delete"), reverse("group-delete", args=[0])):
        assert client.get(address).status_code == 403
        assert client.post(address, {"group": "x", "role": "administrator"}).status_code == 403

    assert GroupRule.objects.values_list("group", "role").get() == ("auditors", "auditor")


def test_a_group_is_added_changed_and_deleted_on_record(admin_page: Client) -> None:
    em = make_enterprise_manager(name="em-north")

    assert admin_page.post(
        ADD, {"group": "auditors", "role": "auditor", "enterprise_managers": [em.pk]}
    ).url == (LIST)
    rule = GroupRule.objects.get()
    admin_page.post(of(rule), {"group": "auditors", "role": "operator", "everything": "on"})
    assert "Delete group" in admin_page.get(of(rule, "delete")).content.decode()
    assert GroupRule.objects.exists()
    admin_page.post(of(rule, "delete"))

    assert not GroupRule.objects.exists()
    first = {"group": "auditors", "role": "auditor", "sees": sees(managers=["em-north"])}
    second = {"group": "auditors", "role": "operator", "sees": sees(everything=True)}
    assert entries() == [
        {"before": None, "after": first},
        {"before": first, "after": second},
        {"before": second, "after": None},
    ]


def test_saving_without_a_change_is_no_entry(admin_page: Client) -> None:
    rule = GroupRule.objects.create(group="auditors", role="auditor", everything=True)

    admin_page.post(of(rule), {"group": "auditors", "role": "auditor", "everything": "on"})

    assert entries() == []


def test_administrators_need_no_grant(admin_page: Client) -> None:
    em = make_enterprise_manager()

    admin_page.post(ADD, {"group": "admins", "role": "administrator", "enterprise_managers": [em.pk]})

    assert not GroupRule.objects.get().enterprise_managers.exists()
    assert "everything" in admin_page.get(LIST).content.decode()


def test_a_group_has_one_rule_and_a_bad_form_changes_nothing(admin_page: Client) -> None:
    rule = GroupRule.objects.create(group="auditors", role="auditor")

    twice = admin_page.post(ADD, {"group": "auditors", "role": "viewer"}).content.decode()
    wrong = admin_page.post(of(rule), {"group": "", "role": "king"}).content.decode()

    assert "already exists" in twice
    assert "Nothing was saved." in wrong
    assert "<bdi>auditors</bdi>" in wrong
    assert GroupRule.objects.values_list("group", "role").get() == ("auditors", "auditor")
    assert entries() == []


def test_the_list_says_how_groups_combine_and_whether_a_provider_is_there(
    admin_page: Client, settings: Any, django_assert_max_num_queries: Any
) -> None:
    settings.OIDC_ISSUER = ""
    em, server = make_enterprise_manager(name="em-north"), make_backup_server(name="vbr-east")
    for number in range(5):
        rule = GroupRule.objects.create(group=f"group-{number}", role="operator")
        rule.enterprise_managers.add(em)
        rule.backup_servers.add(server)
    GroupRule.objects.create(group="empty", role="viewer")

    with django_assert_max_num_queries(20):
        html = admin_page.get(LIST).content.decode()

    assert "No identity provider is configured" in html
    assert "gets the highest of their roles" in html
    assert "with that role grant, together" in html
    assert "em-north" in html
    assert "vbr-east" in html
    assert "nothing" in html.split("empty")[1]
    settings.OIDC_ISSUER = "https://id.example.test"
    assert "No identity provider is configured" not in admin_page.get(LIST).content.decode()


@pytest.mark.parametrize("name", UGLY)
def test_an_ugly_name_is_harmless(admin_page: Client, name: str) -> None:
    saved = admin_page.post(ADD, {"group": name, "role": "viewer"}, follow=True)
    rule = GroupRule.objects.get(group=name)

    pages = [saved, admin_page.get(LIST), admin_page.get(of(rule, "delete"))]
    edited = admin_page.get(of(rule)).content.decode()

    for html in [page.content.decode() for page in pages]:
        assert "<script>alert" not in html
        assert "\u202e" not in html
    assert "<script>alert" not in edited
    assert edited.count("\u202e") == name.count("\u202e")  # in the field alone, where it must stay as it is
