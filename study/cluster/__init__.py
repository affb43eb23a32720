"""The machines that a study runs on: the joined Ray, what it has, and whether its nodes are fit for a study."""
