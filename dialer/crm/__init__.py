"""Customer relationship systems: the only code that knows a CRM."""
