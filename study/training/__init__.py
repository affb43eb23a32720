"""Training one network on images: the plain loop, its stages and checkpoints; without Ray, Optuna or MLflow."""
