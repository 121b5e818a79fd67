"""One inventory of one Enterprise Manager, read as a full run reads it."""

from collections.abc import Callable
from datetime import datetime

from restorereports.em.client import EnterpriseManagerClient
from restorereports.mirror.connection import connection_to
from restorereports.mirror.inventory import read_inventory
from restorereports.models import EnterpriseManager, Inventory, SyncRun
from tests.factories import make_run


def read(
    enterprise_manager: EnterpriseManager,
    at: datetime,
    *,
    run: SyncRun | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Inventory:
    run = run or make_run(
        enterprise_manager, started_at=at, kind=SyncRun.Kind.FULL, status=SyncRun.Status.RUNNING
    )
    try:
        with EnterpriseManagerClient(connection_to(enterprise_manager)) as client:
            return read_inventory(run, client, at=at, should_stop=should_stop)
    finally:
        SyncRun.objects.running().filter(pk=run.pk).update(status=SyncRun.Status.GOOD)
