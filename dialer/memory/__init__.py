"""The tables, and every lock."""
