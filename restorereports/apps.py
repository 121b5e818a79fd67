"""The one Django app."""

from django.apps import AppConfig


class RestoreReportsConfig(AppConfig):
    name = "restorereports"
    verbose_name = "Restore Reports"
