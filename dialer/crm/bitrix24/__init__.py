"""Bitrix24's REST. The only code that knows the portal."""

from dialer.crm.bitrix24.adapter import Bitrix24

__all__ = ["Bitrix24"]
