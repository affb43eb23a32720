"""How good the networks are: baselines, confirmation on fresh seeds, comparison."""
