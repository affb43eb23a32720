"""Metrics that a confirmation measures once, as they are too slow for every epoch."""
