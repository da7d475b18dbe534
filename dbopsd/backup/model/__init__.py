"""What is asked of backups, and what is answered: the dataclasses of the contract."""
