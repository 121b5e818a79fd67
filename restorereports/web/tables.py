"""The tables of the pages, declared; how a cell is written is in the column that owns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_tables2.data import TableData

from restorereports.models import RestoreSession, SessionClass
from restorereports.templatetags.pages import ABSENT, ended, icon, result, stamp
from restorereports.wording import DASH, duration_text, job_type_text, name_html, name_text

# column -> the field it sorts by; both have the same index
SORTS = {
    "started_at": "started_at",
    "outcome": "outcome",
    "vm_name": "vm_sort",
    "job_type": "job_type",
    "duration_ms": "duration_ms",
    "ended_at": "ended_at",
}


class PageData(TableData):
    """Rows that a keyset page brought in their order: nothing is left to order, slice or count."""

    def __init__(self, rows: Sequence[Any]) -> None:
        super().__init__(list(rows))

    def __len__(self) -> int:
        return len(self.data)

    def order_by(self, aliases: Any) -> None:
        """The order was made by the query."""


class RestoreSessionTable(tables.Table):
    """One page of restore sessions; `cut` and `cut-s` cells end in an ellipsis and say all in `title`."""

    outcome = tables.Column(gettext_lazy("Result"), attrs={"td": {"class": "c-result fit"}})
    vm_name = tables.Column(gettext_lazy("VM"), empty_values=(), attrs={"td": {"class": "c-vm cut"}})
    backup_server = tables.Column(
        gettext_lazy("Backup server"), orderable=False, attrs={"td": {"class": "c-server c2 cut-s"}}
    )
    job_type = tables.Column(
        gettext_lazy("Type"), empty_values=(), attrs={"td": {"class": "c-type c2 cut-s"}}
    )
    session_class = tables.Column(
        gettext_lazy("Class"),
        orderable=False,
        empty_values=(),
        attrs={"td": {"class": "c-class c2 fit"}},
    )
    started_at = tables.Column(gettext_lazy("Started"), attrs={"td": {"class": "c-start time"}})
    duration_ms = tables.Column(
        gettext_lazy("Duration"),
        empty_values=(),
        attrs={"td": {"class": "c-dur num fit"}},
    )
    ended_at = tables.Column(gettext_lazy("Ended"), empty_values=(), attrs={"td": {"class": "c-end time"}})
    sources = tables.Column(
        gettext_lazy("EM"), orderable=False, empty_values=(), attrs={"td": {"class": "c-em c2 cut-s"}}
    )

    class Meta:
        template_name = "web/restoresession_table.html"
        row_header = "vm_name"

    def render_outcome(self, record: RestoreSession) -> SafeString:
        return result(record.outcome, record.result)

    def render_vm_name(self, record: RestoreSession) -> SafeString:
        name = name_html(record.vm_name) if record.vm_name else _("no VM name")
        session = format_html(
            '<a href="{}" title="{}"><span class="name">{}</span></a>',
            reverse("restoresession-detail", args=[record.pk]),
            name_text(record.vm_name),
            name,
        )
        if record.virtual_machine_id is None:
            return session
        return format_html(
            '{}<a class="vm-page" href="{}" aria-label="{}">{}</a>',
            session,
            reverse("vm-detail", args=[record.virtual_machine_id]),
            _("The VM’s page: %s") % name_text(record.vm_name),
            icon("right"),
        )

    def render_backup_server(self, record: RestoreSession) -> SafeString:
        return _short(record.backup_server.name)

    def render_job_type(self, record: RestoreSession) -> SafeString:
        return _short(job_type_text(record.job_type)) if record.job_type else _absent()

    def render_session_class(self, record: RestoreSession) -> str:
        return str(SessionClass(record.session_class).label) if record.session_class else DASH

    def render_started_at(self, record: RestoreSession) -> SafeString:
        return stamp(record.started_at)

    def render_duration_ms(self, record: RestoreSession) -> str:
        return duration_text(record.duration_ms)

    def render_ended_at(self, record: RestoreSession) -> SafeString:
        return ended(record)

    def render_sources(self, record: RestoreSession) -> SafeString:
        return _short(", ".join(sorted(source.enterprise_manager.name for source in record.sources.all())))


def _short(text: str) -> SafeString:
    return format_html('<span title="{}">{}</span>', name_text(text), name_html(text))


def _absent() -> SafeString:
    return format_html('<span class="muted">{}</span>', ABSENT)
