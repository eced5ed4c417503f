"""The report of searches: one HTML page, drawn from what their folders hold."""
