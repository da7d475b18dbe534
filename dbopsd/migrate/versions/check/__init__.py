"""What is wrong with migrations, or would hurt a live database, found before anything is run."""
