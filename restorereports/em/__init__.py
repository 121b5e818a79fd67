"""Speaks to Veeam Backup Enterprise Manager (EM), API v1_4 to v1_7, in XML; knows no Django, no Celery.

A call walks client -> transport (bytes) -> answers (a document or a failure) -> entities (records).
"""
