"""Asterisk over ARI. The only code that knows it, and the door to websockets."""

from dialer.providers.asterisk.adapter import Asterisk
from dialer.providers.asterisk.rest import Address
from dialer.providers.asterisk.sounds import COMMAND, Sounds, by_command
from dialer.providers.asterisk.switchboard import Line

__all__ = ["COMMAND", "Address", "Asterisk", "Line", "Sounds", "by_command"]
