"""Twilio Programmable Voice. The only code that knows Twilio, and the door to its SDK."""

from dialer.providers.twilio.adapter import Twilio

__all__ = ["Twilio"]
