"""From a finished or running study to what a person reads: this package reads files and never runs a study."""
