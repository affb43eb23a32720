"""Recorded studies replayed through schedulers in virtual time."""
