"""A telephone company and a Bitrix24 portal on loopback, to try the dialer on."""
