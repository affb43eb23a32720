"""What a confirmation measures of a network, and what it leaves to look at."""
