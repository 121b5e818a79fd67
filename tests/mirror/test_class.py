"""The class of a restore session: given once, to a new row, by the rules of that moment."""

from restorereports.audit import COMMAND_LINE
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import ClassChange, EnterpriseManager, RestoreSession
from restorereports.policies.class_rules import ClassRule
from restorereports.policies.classes import change_rules
from tests.factories import START


def change(*rules: ClassRule) -> None:
    change_rules(tuple(rules), note="", person=None, actor=COMMAND_LINE, at=START)


def classes() -> dict[str, str]:
    return dict(RestoreSession.objects.values_list("vm_name", "session_class"))


def test_new_rows_follow_the_latest_rules_and_keep_their_class(em: EnterpriseManager, world: World) -> None:
    change(ClassRule(session_class="test", name="LAB-*"))
    running = world.add_session(vm_name="lab-1", state="Working")
    world.add_session(vm_name="db-1")

    sync(em)
    assert classes() == {"lab-1": "test", "db-1": ""}
    change(ClassRule(session_class="real", name="*"))
    world.change_session(running.uid, state="Stopped", result="Success")
    world.add_session(vm_name="db-2")
    sync(em)

    assert classes() == {"lab-1": "test", "db-1": "", "db-2": "real"}
    assert ClassChange.objects.count() == 0


def test_a_rule_may_name_the_backup_server(em: EnterpriseManager, world: World) -> None:
    name = world.backup_servers()[0].name
    change(ClassRule(session_class="test", backup_server=name.upper()))
    world.add_session(vm_name="a", backup_server_uid=world.backup_servers()[0].uid)

    sync(em)

    assert classes() == {"a": "test"}
