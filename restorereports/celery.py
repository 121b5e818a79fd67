"""The Celery application. Beat sends wake-ups, workers ask the database what is due."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "restorereports.settings")

app = Celery("restorereports")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["restorereports"])
