"""The reports' claims beside what was measured here: evidence, verdicts, and how both are shown."""
