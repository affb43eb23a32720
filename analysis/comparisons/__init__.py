"""Studies side by side: their winners, and what may and may not be compared between them."""
