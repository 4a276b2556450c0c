"""Parts of a snapshot for people: one module for each that has a view of its own. Pure."""
