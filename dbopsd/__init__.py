"""dbopsd: the operations side of PostgreSQL as one gRPC service."""

import os

# Before anything imports gRPC, whose core writes to standard error by itself: a line for each TLS
# handshake that fails, and any port scanner sends thousands.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
