"""What a worker process does with the jobs that it is given."""
