"""dbopsd: the operations side of PostgreSQL as one gRPC service."""
