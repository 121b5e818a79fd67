"""Which Enterprise Managers a command means."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.management.base import CommandError

from restorereports.models import EnterpriseManager


def enterprise_managers(names: Sequence[str]) -> list[EnterpriseManager]:
    """Those named, else all that are switched on; CommandError for unknown names or when there is none."""
    everyone = {found.name: found for found in EnterpriseManager.objects.all()}
    if not everyone:
        raise CommandError(
            "No Enterprise Manager is set up yet. Add one: manage.py add_em NAME URL --username USER"
        )
    if unknown := [name for name in names if name not in everyone]:
        raise CommandError(
            f"No Enterprise Manager is named {', '.join(unknown)}. Known: {', '.join(sorted(everyone))}."
        )
    return [everyone[name] for name in names] or [found for found in everyone.values() if found.is_active]
