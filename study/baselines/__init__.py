"""What networks are compared with: PCA, and a linear classifier on its codes."""
