"""The HTTP server: health paths for load balancers, Kubernetes and people with curl."""
