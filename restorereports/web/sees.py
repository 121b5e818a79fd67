"""What people and groups see, in words of the pages, for whole lists at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext_lazy as _

from restorereports.models import Grant, GroupRule, User

# what each role lets its people do with what they see, as the pages say it
ROLES: Final = [
    (User.Role.VIEWER.label, _("sees, filters and exports")),
    (User.Role.AUDITOR.label, _("also asks for reports and reads the audit trail")),
    (
        User.Role.OPERATOR.label,
        _("also asks for reports, writes notes and sets the class of restore sessions"),
    ),
    (
        User.Role.POLICY_OWNER.label,
        _(
            "also asks for reports and, where everything is granted, sets policies, exemptions and rules for classes"
        ),
    ),
    (
        User.Role.ADMINISTRATOR.label,
        _("sees everything, and sets up Enterprise Managers, schedules and people"),
    ),
]


@dataclass(kw_only=True, slots=True)
class SeenNames:
    """Names in the order they are written; nothing when all is empty."""

    everything: bool = False
    managers: list[str] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not (self.everything or self.managers or self.servers)


def seen_by_people(people: Iterable[User]) -> dict[int, SeenNames]:
    """By the person's id, in one query; administrators see everything without a grant."""
    found = {person.pk: SeenNames(everything=person.role == User.Role.ADMINISTRATOR) for person in people}
    grants = Grant.objects.filter(user__in=found).order_by(
        "enterprise_manager__name", "backup_server__name", "pk"
    )
    for user, manager, server in grants.values_list(
        "user", "enterprise_manager__name", "backup_server__name"
    ):
        if manager is not None:
            found[user].managers.append(manager)
        elif server is not None:
            found[user].servers.append(server)
        else:
            found[user].everything = True
    return found


def seen_by_group(rule: GroupRule) -> SeenNames:
    """Of a rule whose Enterprise Managers and backup servers are fetched already."""
    return SeenNames(
        everything=rule.everything or rule.role == User.Role.ADMINISTRATOR,
        managers=[manager.name for manager in rule.enterprise_managers.all()],
        servers=[server.name for server in rule.backup_servers.all()],
    )
