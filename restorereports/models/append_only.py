"""Rows that are written once: no update, no delete."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models


class NeverChanged(Exception):
    """Somebody tried to change or delete what is kept as evidence."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    def update(self, **_values: Any) -> NoReturn:
        raise NeverChanged(f"{self.model.__name__} rows are written once")

    def delete(self) -> NoReturn:
        raise NeverChanged(f"{self.model.__name__} rows are kept for good")


class AppendOnly(models.Model):
    objects: ClassVar[Any] = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, **options: Any) -> None:
        if self.pk is not None:
            raise NeverChanged(f"{type(self).__name__} rows are written once")
        super().save(**options)

    def delete(self, **_options: Any) -> NoReturn:  # type: ignore[override]
        raise NeverChanged(f"{type(self).__name__} rows are kept for good")
