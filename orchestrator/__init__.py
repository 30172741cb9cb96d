"""The HTTP door of the cluster."""
