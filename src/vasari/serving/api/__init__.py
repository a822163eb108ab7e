"""The HTTP API: routes under ``/v1``, problem details for errors, limits, metrics."""
