"""The record of every run, in the database that it is about."""
