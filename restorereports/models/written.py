"""Values that the database writes as text, the same on both engines: for exports of millions of rows."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, Subquery, TextField, Value
from django.db.models.functions import Cast

from .restore_session import RestoreSessionSource


class UtcText(Func):
    """A time as `2026-10-14T20:10:02.017Z`: UTC, milliseconds cut as in `wording.utc_text`; NULL stays NULL."""

    arity = 1
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """SQLite keeps text: `2026-10-14 20:10:02` in UTC, with six digits behind a point where they are not zero."""
        text, parameters = compiler.compile(self.source_expressions[0])
        pieces = (
            f"substr({text}, 1, 10) || 'T' || substr({text}, 12, 8) || '.' || "
            f"substr(substr({text}, 21, 3) || '000', 1, 3) || 'Z'"
        )
        return pieces, [*parameters] * 3


class _Joined(Func):
    """Texts joined by commas."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="string_agg", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="group_concat", **context)


class ManagersOf(Subquery):
    """Ids of the Enterprise Managers that show a restore session, joined by commas, in no order; NULL for none."""

    def __init__(self, restore_session: Any) -> None:
        sources: Any = RestoreSessionSource.objects.filter(restore_session=restore_session).order_by()
        ids = Cast(F("enterprise_manager_id"), TextField())
        joined = sources.annotate(ids=_Joined(ids, Value(","))).values("ids")
        super().__init__(joined)
