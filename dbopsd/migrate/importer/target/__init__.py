"""The PostgreSQL side: records of imports, staged tables, and how they get into their places."""
