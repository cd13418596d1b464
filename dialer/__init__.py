"""Rings customers whose contract is about to end; what became of each call stands in Bitrix24, once."""

__version__ = "0.1.0"
