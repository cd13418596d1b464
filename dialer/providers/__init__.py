"""Telephone companies: the only code that knows a provider."""
