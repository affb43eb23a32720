"""Trackers, which follow a study's events into MLflow."""
