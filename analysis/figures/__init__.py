"""Figures of a study, one a file: `compute_*` reads its tables into a dataclass, `plot_*` draws that.

A dataclass has `table()`, what its CSV file holds, and `caption`, what is seen and what it does not say.
"""
