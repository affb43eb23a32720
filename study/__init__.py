"""Run one study: data, search, confirmation, PCA baseline, files and tracking."""
