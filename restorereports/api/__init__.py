"""The read-only JSON API for programs; what a person may see, and no more."""
