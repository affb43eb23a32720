"""Ray Tune and Optuna: which runs there are, when they are stopped, and what is written down of them."""
