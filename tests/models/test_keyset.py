"""Keyset pages against plain sorting: the same rows in the same order, none twice, none left out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from restorereports.models import SYSTEM, RestoreSession
from restorereports.models.keyset import NULLABLE, SORT_FIELDS, Order, page_of, position_of
from tests.factories import START, make_backup_server, make_restore_session
from tests.sizes import examples

ORDERS = [Order(field=field, descending=way) for field in SORT_FIELDS for way in (True, False)]
# few values, so that ties are the rule
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(0, 2),
            "length": st.one_of(st.none(), st.integers(0, 2)),
            "job_type": st.sampled_from(["", "RestoreVm", "FileLevelRestore"]),
            "result": st.sampled_from(["Success", "Failed"]),
            "vm_name": st.sampled_from(["a", "B", "Ä"]),
        }
    ),
    max_size=9,
)


def _make(rows: list[dict[str, Any]]) -> None:
    server = make_backup_server()
    for row in rows:
        started_at = START + timedelta(seconds=row["start"])
        ended_at = None if row["length"] is None else started_at + timedelta(seconds=row["length"])
        make_restore_session(
            server,
            vm_name=row["vm_name"],
            job_type=row["job_type"],
            result=row["result"],
            started_at=started_at,
            ended_at=ended_at,
        )


def _sorted_plainly(order: Order) -> list[int]:
    """The definition: by field, start and id; rows without a value last, newest first."""
    rows = RestoreSession.objects.visible_to(SYSTEM)
    if order.field == "started_at":
        way = "-" if order.descending else ""
        return list(rows.order_by(f"{way}started_at", f"{way}id").values_list("pk", flat=True))
    field = F(order.field)
    valued = rows.filter(**{f"{order.field}__isnull": False})
    ordering: list[Any] = (
        [field.desc(), "started_at", "id"] if order.descending else [field.asc(), "-started_at", "-id"]
    )
    found = list(valued.order_by(*ordering).values_list("pk", flat=True))
    if order.field in NULLABLE:
        empty = rows.filter(**{f"{order.field}__isnull": True}).order_by("-started_at", "-id")
        found += empty.values_list("pk", flat=True)
    return found


def _walked(order: Order, size: int, *, backwards: bool) -> list[int]:
    """All rows, page by page, from one end to the other."""
    rows = RestoreSession.objects.visible_to(SYSTEM)
    found: list[int] = []
    page = page_of(rows, order, size=size, backwards=backwards)
    while page.rows:
        ids = [row.pk for row in page.rows]
        found = ids + found if backwards else found + ids
        if not page.more:
            return found
        edge = page.rows[0] if backwards else page.rows[-1]
        page = page_of(rows, order, size=size, at=position_of(edge, order), backwards=backwards)
    return found


class WalkTest(TestCase):
    @settings(max_examples=examples(25), deadline=None)
    @given(rows=ROWS, order=st.sampled_from(ORDERS), size=st.integers(1, 4), backwards=st.booleans())
    def test_pages_hold_what_plain_sorting_gives(
        self, rows: list[dict[str, Any]], order: Order, size: int, backwards: bool
    ) -> None:
        _make(rows)

        walked = _walked(order, size, backwards=backwards)

        assert walked == _sorted_plainly(order)


@pytest.mark.django_db
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: f"{'-' if o.descending else ''}{o.field}")
def test_each_order_is_walked_both_ways(order: Order) -> None:
    lengths = [None, 1, 1, None, 2, 0]
    _make(
        [
            {
                "start": n % 3,
                "length": length,
                "job_type": "x" * (n % 2),
                "result": "Failed",
                "vm_name": "ab"[n % 2],
            }
            for n, length in enumerate(lengths)
        ]
    )

    plain = _sorted_plainly(order)

    assert _walked(order, 2, backwards=False) == plain
    assert _walked(order, 2, backwards=True) == plain


@pytest.mark.django_db
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: f"{'-' if o.descending else ''}{o.field}")
def test_a_page_asks_a_handful_of_ranges_each_with_a_limit(
    order: Order, django_assert_max_num_queries: Any
) -> None:
    _make([{"start": 0, "length": 1, "job_type": "", "result": "Failed", "vm_name": "a"}] * 5)
    rows = RestoreSession.objects.visible_to(SYSTEM)
    third = page_of(rows, order, size=3).rows[-1]

    with django_assert_max_num_queries(5) as asked:
        page_of(rows, order, size=1, at=position_of(third, order))
        page_of(rows, order, size=2, at=position_of(third, order), backwards=True)

    assert all(" LIMIT " in query["sql"] and " OR " not in query["sql"] for query in asked.captured_queries)
    assert all("OFFSET" not in query["sql"] for query in asked.captured_queries)


def test_an_order_without_an_index_is_refused() -> None:
    with pytest.raises(ValueError, match="no index"):
        Order(field="name")
