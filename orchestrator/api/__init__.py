"""Routes of the HTTP door, one file per resource."""
