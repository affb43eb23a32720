"""Ray and Optuna: which runs there are, where they run, and what a worker does with one."""
