"""Policies in the browser: seen by grants, made from presets, previewed before they are saved, never edited."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from restorereports.models import (
    AuditEntry,
    BackupServer,
    EnterpriseManager,
    Exemption,
    Policy,
    PolicyVersion,
    User,
    VirtualMachine,
)
from restorereports.policies.terms import Machine, Rule, Terms, Tier, read_terms
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_inventory,
    make_policy,
    make_presence,
    make_restore_session,
    make_user,
)
from tests.web.conftest import NOW, logged_in

pytestmark = pytest.mark.django_db
TERMS = Terms(
    tiers=(
        Tier(name="Gold", window_days=90, target=100, rto_minutes=240, rules=(Rule(name="pay*"),)),
        Tier(name="Rest", window_days=365, target=50),
    ),
    other_tier="Rest",
    machines=(Machine(name="crm", owner="Sales"),),
    controls=("CIS v8.1 11.5",),
)


@pytest.fixture
def server(db: None) -> BackupServer:
    """Two VMs with restore points for long, all of EM read; payroll was restored 50 days ago."""
    em = make_enterprise_manager(name="em", covered_from_at=NOW - timedelta(days=900))
    server = make_backup_server(em, name="vbr")
    server.sources.update(covered_from_at=em.covered_from_at)
    for days in range(400, -1, -20):
        run = make_full_run(em, started_at=NOW - timedelta(days=days))
    make_inventory(run)
    for name in ("payroll", "crm"):
        make_presence(server, em, name, NOW - timedelta(days=300))
    make_restore_session(
        server,
        enterprise_manager=em,
        vm_name="payroll",
        started_at=NOW - timedelta(days=50),
        session_class="test",
    )
    return server


@pytest.fixture
def version(server: BackupServer) -> PolicyVersion:
    return make_policy(TERMS, name="Restore tests")


@pytest.fixture
def owner_page(db: None) -> Client:
    return logged_in(Client(), make_user(User.Role.POLICY_OWNER, username="p.owner"))


def fields(page: Client, address: str, **changes: Any) -> dict[str, Any]:
    """What a browser would send back of the form that it was shown, with these changes."""
    context = page.get(address).context
    form, tiers = context["form"], context["tiers"]
    data: dict[str, Any] = {"based_on": str(context["based_on"])}
    for one in (form, tiers.management_form, *tiers):
        for bound in one:
            value = bound.value()
            if value not in (None, False, ""):
                data[bound.html_name] = value
    return data | changes


def test_the_list_names_each_policy_with_its_verdict(page: Client, version: PolicyVersion) -> None:
    html = page.get("/policies/").content.decode()

    assert f"{version.policy} <bdi>Restore tests</bdi>" in html
    assert '<span class="nm">1 <i>/ 2</i></span>' in html
    assert "50.0 %" in html
    assert "Not met" in html
    assert "Begin with a preset" not in html


def test_the_page_tells_the_terms_in_words(page: Client, version: PolicyVersion) -> None:
    html = page.get(f"/policies/{version.policy_id}/").content.decode()

    for words in (
        "pay*",
        "90 days",
        "100 %",
        "04:00 h",
        "CIS v8.1 11.5",
        version.terms_sha256,
        "The first one.",
    ):
        assert words in html
    assert "Change</a>" not in html


def test_who_sees_a_part_sees_no_rules(client: Client, version: PolicyVersion, server: BackupServer) -> None:
    reader = make_user(User.Role.POLICY_OWNER, server)

    html = logged_in(client, reader).get(f"/policies/{version.policy_id}/").content.decode()

    assert "90 days" in html
    assert "pay*" not in html
    assert "as CSV" not in html
    assert client.get(f"/policies/{version.policy_id}/edit/").status_code == 403
    assert client.get(f"/policies/{version.policy_id}/machines.csv").status_code == 404


def test_the_machine_list_leaves_as_csv_on_record(page: Client, version: PolicyVersion) -> None:
    response = page.get(f"/policies/{version.policy_id}/machines.csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]

    assert text == "name,backup_server,tier,owner,label\ncrm,,,Sales,\n"
    assert AuditEntry.objects.filter(action="export_begun").exists()


def test_a_policy_is_made_from_a_preset(owner_page: Client, server: BackupServer) -> None:
    data = fields(owner_page, "/policies/add/?preset=90", name="Quarterly")
    shown = owner_page.post("/policies/add/?preset=90", data, follow=True).content.decode()
    assert "1 <i>/ 2</i>" in shown
    assert not Policy.objects.exists()

    seal = owner_page.get("/policies/preview/").context["draft"].seal
    saved = owner_page.post("/policies/preview/", {"seal": seal}, follow=True)

    made = PolicyVersion.objects.get()
    terms = read_terms(made.terms)
    assert (made.policy.name, made.number, terms.preset) == ("Quarterly", 1, "90")
    assert "CIS v8.1 11.5" in terms.controls
    assert made.made_by is not None
    assert "Saved: " in saved.content.decode()
    assert AuditEntry.objects.filter(action="policy_changed").count() == 1


def test_a_change_is_previewed_and_then_a_new_version(owner_page: Client, version: PolicyVersion) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    changed = fields(owner_page, address, **{"tier-0-window_days": "30", "note": "Stricter."})

    shown = owner_page.post(address, changed, follow=True).content.decode()
    seal = owner_page.get("/policies/preview/").context["draft"].seal
    owner_page.post("/policies/preview/", {"seal": seal})

    assert '1 <i>/ 2</i></span> → <span class="nm">0 <i>/ 2</i>' in " ".join(shown.split())
    assert "Tier “Gold”, window, days: 90 → 30" in shown
    latest = version.policy.latest
    assert (latest.number, latest.note) == (2, "Stricter.")
    assert read_terms(latest.terms).machines == TERMS.machines
    page = owner_page.get(f"/policies/{version.policy_id}/").content.decode()
    assert "Tier “Gold”, window, days: 90 → 30" in page


def test_a_form_that_changes_nothing_reads_back_alike(owner_page: Client, version: PolicyVersion) -> None:
    address = f"/policies/{version.policy_id}/edit/"

    owner_page.post(address, fields(owner_page, address))
    draft = owner_page.get("/policies/preview/").context["draft"]

    assert draft.terms == TERMS


def test_a_version_made_meanwhile_is_not_overwritten(owner_page: Client, version: PolicyVersion) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    owner_page.post(address, fields(owner_page, address, **{"tier-0-window_days": "30"}))
    seal = owner_page.get("/policies/preview/").context["draft"].seal
    make_policy(TERMS, policy=version.policy)

    warned = owner_page.get("/policies/preview/").content.decode()
    refused = owner_page.post("/policies/preview/", {"seal": seal}, follow=True).content.decode()

    assert "Version 2 was made meanwhile" in warned
    assert "Save as a new version" not in warned
    assert "Version 2 was made meanwhile" in refused
    assert version.policy.latest.number == 2


def test_a_draft_of_another_window_is_not_saved_unseen(owner_page: Client, version: PolicyVersion) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    owner_page.post(address, fields(owner_page, address, **{"tier-0-window_days": "30"}))
    seal = owner_page.get("/policies/preview/").context["draft"].seal
    owner_page.post(address, fields(owner_page, address, **{"tier-0-window_days": "60"}))

    shown = owner_page.post("/policies/preview/", {"seal": seal}, follow=True).content.decode()

    assert "in another window" in shown
    assert version.policy.latest.number == 1


def test_back_from_the_preview_the_draft_stands_in_the_form(
    owner_page: Client, version: PolicyVersion
) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    owner_page.post(address, fields(owner_page, address, **{"tier-0-window_days": "33"}))
    back = owner_page.get("/policies/preview/").context["back"]

    form = owner_page.get(back).content.decode()

    assert 'name="tier-0-window_days" value="33"' in form


def test_a_row_more_needs_no_script_and_keeps_what_was_typed(
    owner_page: Client, version: PolicyVersion
) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    typed = fields(owner_page, address, **{"tier-1-ORDER": "0", "tier-0-target": "odd", "add_row": ""})

    response = owner_page.post(address, typed)

    tiers = response.context["tiers"]
    assert [form["name"].value() for form in tiers] == ["Rest", "Gold", None]
    assert tiers[1]["target"].value() == "odd"
    assert response.status_code == 200
    assert not response.context["form"].is_bound


def test_tiers_are_removed_and_put_in_order(owner_page: Client, version: PolicyVersion) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    owner_page.post(address, fields(owner_page, address, **{"tier-1-ORDER": "0"}))
    assert [t.name for t in owner_page.get("/policies/preview/").context["draft"].terms.tiers] == [
        "Rest",
        "Gold",
    ]

    owner_page.post(address, fields(owner_page, address, **{"tier-0-DELETE": "on"}))

    assert [t.name for t in owner_page.get("/policies/preview/").context["draft"].terms.tiers] == ["Rest"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tier-0-window_days": "0"}, "greater than or equal to 1"),
        ({"tier-0-rules": "pay*;;x"}, "Line 1: a pattern is empty."),
        ({"tier-1-name": "Gold"}, "Two tiers are called"),
        ({"other_tier": "None"}, "does not exist"),
        ({"job_types": []}, "This field is required."),
        ({"classes": ["nothing"]}, "not one of the available choices"),
        ({"name": ""}, "This field is required."),
        ({"grace_days": "999"}, "less than or equal to 365"),
    ],
)
def test_wrong_terms_are_refused_beside_their_field(
    owner_page: Client, version: PolicyVersion, change: dict[str, Any], sentence: str
) -> None:
    address = f"/policies/{version.policy_id}/edit/"

    response = owner_page.post(address, fields(owner_page, address, **change))

    assert response.status_code == 422
    assert sentence in response.content.decode()


def test_a_machine_list_is_taken_or_every_bad_line_named(owner_page: Client, version: PolicyVersion) -> None:
    address = f"/policies/{version.policy_id}/edit/"
    good = SimpleUploadedFile("m.csv", b"name,tier,owner\npayroll,Rest,me\n")
    bad = SimpleUploadedFile("m.csv", b"name,tier\npayroll,Silver\n,Gold\n")

    refused = owner_page.post(address, fields(owner_page, address, machines_csv=bad))
    owner_page.post(address, fields(owner_page, address, machines_csv=good))

    html = refused.content.decode()
    assert refused.status_code == 422
    assert "Line 2: there is no tier “Silver” in this policy." in html
    assert "Line 3: it has no name." in html
    draft = owner_page.get("/policies/preview/").context["draft"]
    assert draft.terms.machines == (Machine(name="payroll", tier="Rest", owner="me"),)
    owner_page.post(address, fields(owner_page, address, drop_machines="on"))
    assert owner_page.get("/policies/preview/").context["draft"].terms.machines == ()


def test_a_policy_is_retired_and_opened_again(owner_page: Client, version: PolicyVersion) -> None:
    owner_page.post(f"/policies/{version.policy_id}/retire/")
    retired = owner_page.get("/policies/").content.decode()
    owner_page.post(f"/policies/{version.policy_id}/reopen/")

    assert "They judge no new report" in retired
    assert Policy.objects.get().retired_at is None


def exempt(page: Client, policy: Policy, **values: str) -> Any:
    data = {
        "vm_name": "crm",
        "backup_server": "vbr",
        "reason": "moves",
        "approver": "CISO",
        "last_day": (NOW + timedelta(days=9)).date().isoformat(),
    } | values
    return page.post(f"/policies/{policy.pk}/exemptions/add/", data)


def test_an_exemption_is_given_and_withdrawn(owner_page: Client, version: PolicyVersion) -> None:
    policy = version.policy
    assert exempt(owner_page, policy).status_code == 302
    exempted = owner_page.get("/policies/").content.decode()
    given = Exemption.objects.get()

    owner_page.post(f"/policies/{policy.pk}/exemptions/{given.pk}/withdraw/")
    history = owner_page.get(f"/policies/{policy.pk}/").content.decode()

    assert '<span class="nm">1 <i>/ 1</i></span>' in exempted
    assert given.expires_at.date() == (NOW + timedelta(days=10)).date()
    assert "Withdrawn" in history
    assert "CISO" in history
    assert list(AuditEntry.objects.values_list("action", flat=True)[:2]) == [
        "exemption_withdrawn",
        "exemption_given",
    ]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"vm_name": "CRM"}, "No VM of exactly this name"),
        ({"backup_server": "other"}, "No VM of exactly this name"),
        ({"last_day": "2020-01-01"}, "This day is over"),
        ({"reason": " "}, "This field is required."),
    ],
)
def test_an_exemption_of_nothing_known_is_refused(
    owner_page: Client, version: PolicyVersion, values: dict[str, str], sentence: str
) -> None:
    response = exempt(owner_page, version.policy, **values)

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not Exemption.objects.exists()


def test_two_vms_of_one_name_are_told_apart_by_the_page_one_came_from(
    owner_page: Client, version: PolicyVersion, server: BackupServer
) -> None:
    first = VirtualMachine.objects.get(name="crm")
    second = VirtualMachine.objects.create(
        backup_server=server, name="crm", name_key=first.name_key, object_ref="vm-77", first_seen_at=NOW
    )

    vague = exempt(owner_page, version.policy)
    form = owner_page.get(f"/policies/{version.policy_id}/exemptions/add/?vm={second.pk}").content.decode()
    exempt(owner_page, version.policy, vm=str(second.pk))

    assert "Several VMs bear this name" in vague.content.decode()
    assert 'value="crm"' in form
    assert Exemption.objects.get().virtual_machine == second


def test_an_exemption_of_another_policy_is_not_found(owner_page: Client, version: PolicyVersion) -> None:
    exempt(owner_page, version.policy)
    other = make_policy(TERMS).policy

    response = owner_page.post(f"/policies/{other.pk}/exemptions/{Exemption.objects.get().pk}/withdraw/")

    assert response.status_code == 404
    assert EnterpriseManager.objects.exists()
