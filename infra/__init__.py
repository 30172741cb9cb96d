"""Ports, adapters and the cluster client: roles above, documents below, a vendor SDK in exactly one adapter."""
