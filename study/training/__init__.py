"""Fitting one model to images: a network by the plain loop, or PCA; without Ray, Optuna or MLflow."""
