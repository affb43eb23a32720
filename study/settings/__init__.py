"""The settings of a study: declared once, read from a command line or a file, kept in the journal."""
