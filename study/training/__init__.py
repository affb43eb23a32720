"""Training one network: plain PyTorch, without Ray, Optuna or MLflow."""
