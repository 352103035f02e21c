"""Any network on any data."""
