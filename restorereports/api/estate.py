"""Backup servers and VMs."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Prefetch, QuerySet
from ninja import Query, Router, Schema
from pydantic import Field

from restorereports.models import ApiToken, BackupServer, BackupServerSource, User, VirtualMachine

from .gate import ApiRequest
from .operations import reads
from .paging import NamedParameters, page_by_id
from .values import Ids, Named, Time

SCOPE = ApiToken.Scope.ESTATE
router = Router(tags=["estate"])


class BackupServerOut(Schema):
    """A Veeam backup server, however many Enterprise Managers show it."""

    id: int
    uid: str
    name: str
    description: str
    version: str
    first_seen_at: Time
    enterprise_managers: list[Named] = Field(description="Those that show it.")


class BackupServerPage(Schema):
    items: list[BackupServerOut]
    next_cursor: str | None


class VirtualMachineParameters(NamedParameters):
    backup_server: Annotated[Ids, Field(description="Ids.")] = []


class VirtualMachineOut(Schema):
    """A machine as the restore sessions of one backup server name it."""

    id: int
    name: str
    former_names: list[str]
    backup_server: Named
    object_ref: str = Field(description="Its id in the hypervisor, where EM gives one.")
    first_seen_at: Time


class VirtualMachinePage(Schema):
    items: list[VirtualMachineOut]
    next_cursor: str | None


@reads(router, "/backup-servers", scope=SCOPE, answers=BackupServerPage, name="list_backup_servers")
def list_backup_servers(request: ApiRequest, asked: Query[NamedParameters]) -> BackupServerPage:
    """Backup servers by id."""
    rows = BackupServer.objects.visible_to(request.user)
    if asked.name:
        rows = rows.filter(name__icontains=asked.name)
    rows = rows.prefetch_related(Prefetch("sources", _sources(request.user)))
    found, following = page_by_id(rows, asked, of="backup-servers")
    items = [
        BackupServerOut(
            id=server.pk,
            uid=server.uid,
            name=server.name,
            description=server.description,
            version=server.version,
            first_seen_at=server.first_seen_at,
            enterprise_managers=[
                Named(id=source.enterprise_manager.pk, name=source.enterprise_manager.name)
                for source in server.sources.all()
            ],
        )
        for server in found
    ]
    return BackupServerPage(items=items, next_cursor=following)


def _sources(person: User) -> QuerySet[BackupServerSource]:
    """The Enterprise Managers beside a backup server; those alone that the person may see."""
    sources = BackupServerSource.objects.select_related("enterprise_manager").order_by(
        "enterprise_manager__name", "pk"
    )
    granted = person.granted
    return sources if granted.everything else sources.filter(enterprise_manager__in=granted.managers)


@reads(router, "/virtual-machines", scope=SCOPE, answers=VirtualMachinePage, name="list_virtual_machines")
def list_virtual_machines(request: ApiRequest, asked: Query[VirtualMachineParameters]) -> VirtualMachinePage:
    """VMs by id."""
    rows = VirtualMachine.objects.visible_to(request.user)
    if asked.backup_server:
        granted = request.user.granted
        rows = rows.filter(
            backup_server__in=[
                pk for pk in asked.backup_server if granted.everything or pk in granted.servers
            ]
        )
    if asked.name:
        rows = rows.filter(name__icontains=asked.name)
    rows = rows.select_related("backup_server").prefetch_related("aliases")
    found, following = page_by_id(rows, asked, of="virtual-machines")
    items = [
        VirtualMachineOut(
            id=vm.pk,
            name=vm.name,
            former_names=[alias.name for alias in vm.aliases.all()],
            backup_server=Named(id=vm.backup_server.pk, name=vm.backup_server.name),
            object_ref=vm.object_ref,
            first_seen_at=vm.first_seen_at,
        )
        for vm in found
    ]
    return VirtualMachinePage(items=items, next_cursor=following)
