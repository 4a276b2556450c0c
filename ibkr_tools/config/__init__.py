"""The configuration: its schema, how it is read and checked, and where its secrets are."""
