"""The forms, a file per noun."""
