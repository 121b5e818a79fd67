"""The pages, a file per noun."""
