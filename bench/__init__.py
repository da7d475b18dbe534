"""What dbopsd costs and how long it takes, measured: `python -m bench` or `make bench`."""
