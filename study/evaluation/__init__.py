"""How good the networks are: PCA and other baselines, confirmation on fresh seeds, metrics of the end."""
