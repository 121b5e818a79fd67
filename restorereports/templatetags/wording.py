"""`{% load wording %}`: the wording rules as template filters, for pages and PDF."""

from django import template

from restorereports import wording

register = template.Library()
register.filter("duration", wording.duration_text)
register.filter("utc", wording.utc_text)
register.filter("job_type", wording.job_type_text)
register.filter("vm_name", wording.name_html)
