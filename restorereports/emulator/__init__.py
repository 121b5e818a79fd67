"""A stand-in for Veeam Backup Enterprise Manager (EM) on a real socket, for the demo and the tests.

It knows the protocol and invented data only: no Django, no Celery, and nothing of our own EM client, so that
a misreading of the protocol on one side is not repeated on the other.
"""
