"""Requests and results of versioned migrations, and the types that every room shares."""
