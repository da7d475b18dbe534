"""The gRPC server: decodes a request, makes one call below, encodes the answer."""
