"""The record of a study: what study/ writes and analysis/ reads. It imports nothing else of the project."""
