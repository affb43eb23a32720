"""The report as a page: sections as values, and the one self-contained HTML file that shows them."""
