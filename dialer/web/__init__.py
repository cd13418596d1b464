"""What a provider and an operator may ask of this node over HTTP."""
