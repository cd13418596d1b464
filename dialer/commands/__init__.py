"""What each command does, one file a command or a family of them."""
