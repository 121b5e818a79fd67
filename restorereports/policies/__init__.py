"""What a policy asks and what the restore sessions make of it: tiers, classes, verdicts, coverage.

Knows models and the audit trail; nothing of pages or documents.
"""
