"""What a study writes down: the journal, and everything that is made from it, MLflow included."""
