"""The images of a study: built-in data sets and folders, decoded, split, checked, and as tensors."""
