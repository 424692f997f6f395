"""What operators read: log, access log, Prometheus metrics."""
