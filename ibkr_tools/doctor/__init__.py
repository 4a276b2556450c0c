"""`ibkr-tools doctor`: looks at everything that a session needs, and changes nothing."""
