"""The read-only JSON API for programs, /api/v1/. Knows models, reports' files and sign_in; never web."""
