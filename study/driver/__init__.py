"""What the driver of a study does: its phases from start to summary, and what a person sees of them."""
