"""What the runs of the past tell about window, reach and gaps, for databases made before these were recorded."""

from datetime import timedelta

from django.db import migrations

LEAST_WINDOW = timedelta(weeks=1)


def measure(apps, schema_editor):
    EnterpriseManager = apps.get_model("restorereports", "EnterpriseManager")
    for manager in EnterpriseManager.objects.all():
        _measure_one(apps, manager)
    _mark_final_state_unknown(apps)


def _measure_one(apps, manager):
    SyncRun = apps.get_model("restorereports", "SyncRun")
    Gap = apps.get_model("restorereports", "Gap")
    good = SyncRun.objects.filter(enterprise_manager=manager, status="good").order_by("pk")
    window, previous = None, None
    for run in good.only("pk", "kind", "started_at", "oldest_at").iterator():
        values = {"read_to_at": run.started_at}
        if run.kind == "full":
            if run.oldest_at and run.oldest_at < run.started_at:
                window = max(window or timedelta(), run.started_at - run.oldest_at)
            covers_from = run.started_at - max(window or LEAST_WINDOW, LEAST_WINDOW)
            values["covers_from_at"] = covers_from
            if manager.covered_from_at is None:
                manager.covered_from_at = covers_from
            if previous and covers_from > previous.started_at:
                Gap.objects.create(
                    enterprise_manager=manager,
                    from_at=previous.started_at,
                    to_at=covers_from,
                    cause="not_run",
                    opened_at=run.started_at,
                    opened_run=run,
                    closed_at=run.started_at,
                    closed_run=run,
                )
        SyncRun.objects.filter(pk=run.pk).update(**values)
        previous = run
    manager.shown_window = window
    manager.save(update_fields=["shown_window", "covered_from_at"])
    if manager.covered_from_at:
        manager.backup_server_sources.update(covered_from_at=manager.covered_from_at)


def _mark_final_state_unknown(apps):
    RestoreSession = apps.get_model("restorereports", "RestoreSession")
    RestoreSessionSource = apps.get_model("restorereports", "RestoreSessionSource")
    shown = RestoreSessionSource.objects.filter(missing_at=None).values("restore_session")
    unfinished = RestoreSession.objects.exclude(state="Stopped")
    unfinished.filter(sources__missing_at__isnull=False).exclude(pk__in=shown).update(outcome="Unknown")


class Migration(migrations.Migration):
    dependencies = [("restorereports", "0002_lossless_mirror")]
    operations = [migrations.RunPython(measure, migrations.RunPython.noop)]
