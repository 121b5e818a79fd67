"""A VM's page: what each policy makes of it and why, its names, its exemptions, its restores."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Exemption,
    User,
    VirtualMachine,
    VirtualMachineAlias,
)
from restorereports.models.virtual_machine import name_key
from restorereports.policies.terms import Machine, Rule, Terms, Tier
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_policy,
    make_presence,
    make_restore_session,
    make_user,
)
from tests.web.conftest import NOW, logged_in

pytestmark = pytest.mark.django_db
GOLD = Tier(name="Gold", window_days=90, target=90, rules=(Rule(name="nothing"), Rule(name="pay*")))
REST = Tier(name="Rest", window_days=30, target=90)


@pytest.fixture
def server(db: None) -> BackupServer:
    em = make_enterprise_manager(name="em", covered_from_at=NOW - timedelta(days=900))
    return make_backup_server(em, name="vbr")


@pytest.fixture
def vm(server: BackupServer) -> VirtualMachine:
    em = EnterpriseManager.objects.get()
    make_presence(server, em, "payroll", NOW - timedelta(days=300))
    for days, session_class in ((10, "test"), (5, "")):
        started_at = NOW - timedelta(days=days)
        make_restore_session(
            server,
            enterprise_manager=em,
            vm_name="payroll",
            started_at=started_at,
            session_class=session_class,
        )
    return VirtualMachine.objects.get()


def shown(page: Client, vm: VirtualMachine) -> str:
    response = page.get(f"/vms/{vm.pk}/")
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_each_policy_says_its_verdict_and_what_placed_the_vm(page: Client, vm: VirtualMachine) -> None:
    make_policy(Terms(tiers=(GOLD, REST), other_tier="Rest"), name="By rule")
    make_policy(Terms(tiers=(GOLD, REST), machines=(Machine(name="payroll", tier="Rest"),)), name="By list")
    make_policy(Terms(tiers=(REST,), other_tier="Rest"), name="By nothing")
    make_policy(Terms(tiers=(REST,), exclude=(Rule(name="*"),)), name="Excluded")
    make_policy(Terms(tiers=(REST,)), name="Unplaced")

    html = shown(page, vm)

    for words in (
        'rule 2 of the tier: <span class="mono"><bdi>pay*</bdi>',
        "the machine list",
        "no rule: it is the tier for all others",
        "Out of scope: a rule leaves this VM out.",
        "Out of scope: it fits no tier.",
        "next due by",
        "10 days ago",
    ):
        assert words in html, words


def test_a_restore_without_class_does_not_count_but_is_listed(page: Client, vm: VirtualMachine) -> None:
    make_policy(Terms(tiers=(REST,), other_tier="Rest"))

    response = page.get(f"/vms/{vm.pk}/")

    line = response.context["views"][0].line
    assert line.last_at == NOW - timedelta(days=10)
    assert [row.session_class for row in response.context["rows"]] == ["", "test"]


def test_a_vm_without_restore_points_is_out_of_scope(page: Client, server: BackupServer) -> None:
    row = make_restore_session(server, vm_name="gone")
    make_policy(Terms(tiers=(REST,), other_tier="Rest"))

    assert "Out of scope now: it has no restore point" in shown(page, row.virtual_machine)  # type: ignore[arg-type]


def test_without_a_policy_nothing_is_asked(page: Client, vm: VirtualMachine) -> None:
    assert "No policy is in force, so that nothing is asked of this VM." in shown(page, vm)


def test_names_are_told_apart(page: Client, vm: VirtualMachine) -> None:
    other = make_backup_server(name="vbr-lab")
    namesake = make_restore_session(other, vm_name="payroll").virtual_machine
    VirtualMachineAlias.objects.create(
        virtual_machine=vm, name="PAYROLL-old", name_key=name_key("PAYROLL-old"), until_at=NOW
    )

    html = shown(page, vm)

    assert "PAYROLL-old" in html
    assert f'<a href="/vms/{namesake.pk}/">on <bdi>vbr-lab</bdi></a>' in html  # type: ignore[union-attr]


def test_exemptions_stay_as_history(page: Client, vm: VirtualMachine) -> None:
    version = make_policy(Terms(tiers=(REST,), other_tier="Rest"))
    person = make_user(User.Role.POLICY_OWNER, username="p.owner")
    for day in (40, 1):
        Exemption.objects.create(
            policy=version.policy,
            virtual_machine=vm,
            reason=f"reason {day}",
            approver="CISO",
            given_at=NOW - timedelta(days=day),
            given_by=person,
            expires_at=NOW - timedelta(days=day - 10),
        )

    html = shown(page, vm)

    assert "reason 40" in html
    assert "Ended" in html
    assert "In force" in html
    assert "Exempt until" in html
    assert "Withdraw</button>" not in html


def test_who_sees_a_part_is_told_no_rule_and_no_namesake(client: Client, vm: VirtualMachine) -> None:
    make_policy(Terms(tiers=(GOLD, REST)))
    make_restore_session(make_backup_server(name="vbr-lab"), vm_name="payroll")
    reader = make_user(User.Role.VIEWER, vm.backup_server)

    html = shown(logged_in(client, reader), vm)

    assert "rule 2 of the tier" in html
    assert "pay*" not in html
    assert "vbr-lab" not in html


def test_the_page_asks_a_number_of_queries_that_its_restores_do_not_change(
    page: Client, vm: VirtualMachine, django_assert_max_num_queries: object
) -> None:
    make_policy(Terms(tiers=(REST,), other_tier="Rest"))
    for days in range(60):
        make_restore_session(vm.backup_server, vm_name="payroll", started_at=NOW - timedelta(days=days))

    with django_assert_max_num_queries(40):  # type: ignore[operator]
        html = shown(page, vm)

    assert "The newest 50." in html


def test_the_restore_session_leads_to_its_vm(page: Client, vm: VirtualMachine) -> None:
    row = vm.restore_sessions.first()  # type: ignore[attr-defined]

    assert f'href="/vms/{vm.pk}/"' in page.get(f"/restore-sessions/{row.pk}/").content.decode()
    assert f'href="/vms/{vm.pk}/"' in page.get("/?period=all").content.decode()
