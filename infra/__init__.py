"""Ports, adapters and the cluster client. Roles sit above, documents below; a vendor SDK lives in exactly one adapter."""
