"""What shows a network at work: arrays from its confirmation, and pictures of them."""
